# Started by the classic harness only.
