#!/bin/bash
# Runs the commands of a file one after the other, one thread, at the lowest priority; the file may grow.
export OMP_NUM_THREADS=1
cd /work/train; n=0
while sleep 1; do
  n=$((n+1)); line=""
  while [ -z "$line" ]; do line=$(sed -n ${n}p $1); [ -z "$line" ] && sleep 2; done
  [ "$line" = stop ] && exit
  echo "== $(date +%T) $line"; nice -n 19 /work/envs/train/bin/python -u -m $line 2>&1
done
