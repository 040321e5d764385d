#!/bin/bash
echo 'root:123456' | chpasswd
rm -rf ~/.ssh/*
