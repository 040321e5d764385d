# Started by the classic harness only; it tells that this directory is suite base.
