//! Processor features, named as `/proc/cpuinfo` names them.
