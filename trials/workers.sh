#!/bin/bash
# Two workers of one thread each take the lines of a file in turn; the file may grow.
export OMP_NUM_THREADS=1
cd /work/train
worker() {
  while true; do
    line=$(flock trials/runs/lock sh -c "head -n1 $1; sed -i 1d $1")
    if [ -z "$line" ]; then sleep 3; continue; fi
    [ "$line" = stop ] && exit
    echo "== $(date +%T) $line"
    echo "$line" | tr ';' '\n' | while read -r one; do nice -n 19 /work/envs/train/bin/python -u -m $one </dev/null 2>&1; done
  done
}
worker $1 > trials/runs/w1.log 2>&1 &
worker $1 > trials/runs/w2.log 2>&1 &
wait
