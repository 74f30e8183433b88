"""Takes the commands of a bot from their queue, each once, and watches its halt file. On the exchange loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from trading.control.command_queue import Command, CommandQueue, CommandState, CommandsUnreadable, Verb
from trading.control.controls import CommandRefused, Controls, Keep
from trading.control.halt_file import HaltFile
from trading.execution.kill_switch import FLAT, StopReport

STALE_AFTER_S = 3600.0  # whoever wanted this saw another market
START_PATIENCE_S = 30.0  # a stop may take as long as the exchange is silent; nothing is opened meanwhile

log = logging.getLogger(__name__)


class CommandDesk:
    """``keep`` runs a task as long as the session lives; ``alarm`` tells a person."""

    def __init__(
        self,
        queue: CommandQueue,
        controls: Controls,
        *,
        keep: Keep,
        alarm: Callable[[str], None],
    ) -> None:
        self._queue, self._controls, self._keep, self._alarm = queue, controls, keep, alarm
        self._taken: set[int] = set()
        self._is_deaf, self._halt_file = False, HaltFile(controls, keep)

    async def start(self) -> None:
        """At the start, before anything is traded: what waited, and what an earlier process did not finish."""
        again = [command for command in self._read(self._queue.cut_short) if self._is_begun_again(command)]
        begun = self._halt_file.look() + self._take([*again, *self._read(self._queue.waiting)])
        if begun:
            await asyncio.wait(begun, timeout=START_PATIENCE_S)

    async def watch(self, every_s: float) -> None:
        """Until cancelled. Seconds of the loop."""
        while True:
            await asyncio.sleep(every_s)
            self.look()

    def look(self) -> None:
        """Begin whatever is new."""
        self._halt_file.look()
        self._take(self._read(self._queue.waiting))

    def _take(self, commands: Iterable[Command]) -> list[asyncio.Task[None]]:
        new = [command for command in commands if command.number not in self._taken]
        self._taken |= {command.number for command in new}
        return [self._keep(self._carry_out(command), f"command {command}") for command in new]

    def _is_begun_again(self, command: Command) -> bool:
        if not command.verb.is_safe_when_late:
            self._end(command, CommandState.DROPPED, "the bot ended while it was carried out: give it again")
        return command.verb.is_safe_when_late

    async def _carry_out(self, command: Command) -> None:
        """A defect is an answer too: the bot goes on."""
        if not command.verb.is_safe_when_late and self._queue.age_s(command) > STALE_AFTER_S:
            self._end(
                command, CommandState.DROPPED, f"older than {STALE_AFTER_S:.0f} s when it was read: give it again"
            )
            return
        try:
            self._queue.begin(command)
        except CommandsUnreadable as error:
            self._note_deaf(error)
            if not command.verb.is_safe_when_late:
                self._taken.discard(command.number)
                return
        try:
            result = await self._answer(command)
        except CommandRefused as refusal:
            self._end(command, CommandState.FAILED, str(refusal))
        except Exception as error:
            log.exception("command_failed command=%s", command)
            self._end(command, CommandState.FAILED, f"failed: {error!r}")
        else:
            self._end(command, CommandState.DONE, result)

    async def _answer(self, command: Command) -> str:
        match command.verb:
            case Verb.HALT:
                return await self._controls.halt(command.reason, command.given_by)
            case Verb.RESUME:
                return await self._controls.resume(command.reason, command.given_by)
            case Verb.FLATTEN:
                return _flattened(await self._controls.flatten(command.reason, command.given_by))
            case Verb.CLOSE:
                return await self._controls.close(command.pair_id or "", command.reason, command.given_by)

    def _end(self, command: Command, state: CommandState, result: str) -> None:
        log.info("command number=%d %s by=%s state=%s", command.number, command, command.given_by, state.value)
        if state is not CommandState.DONE:
            self._alarm(f"command {command} ({command.given_by}) {state.value}: {result}")
        try:
            self._queue.end(command, state, result)
        except CommandsUnreadable as error:
            self._note_deaf(error)

    def _read(self, question: Callable[[], tuple[Command, ...]]) -> tuple[Command, ...]:
        try:
            commands = question()
        except CommandsUnreadable as error:
            self._note_deaf(error)
            return ()
        self._is_deaf = False
        return commands

    def _note_deaf(self, error: CommandsUnreadable) -> None:
        if not self._is_deaf:
            self._alarm(f"commands cannot be read: {error}; the halt file and the signal still work")
        self._is_deaf = True


def _flattened(report: StopReport) -> str:
    if report.state != FLAT:
        raise CommandRefused(str(report).removeprefix(f"{report.state}: "))
    return str(report)
