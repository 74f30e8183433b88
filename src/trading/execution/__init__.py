"""From a pair order to fills: two legs, one at a time, each intent on disk before its order is sent."""
