#!/bin/sh
# Scan one hour of a table against the stored reference profile, once.
#
#   hourly.sh [HOUR]      HOUR such as 2026-03-01T05; by default the last one that is over, in UTC
#
#   ROWS        folder with a folder hour=HOUR for every hour
#   MONITOR     folder with reference.gpumon; results go to MONITOR/hours/HOUR
#   SCHEDULER   a Dask cluster (tcp://…, tls://… or a scheduler file); without it, this process counts
set -eu
hour=${1:-$(date -u -d '1 hour ago' +%Y-%m-%dT%H)}
out=$MONITOR/hours/$hour
mkdir -p "$out"
exec 9>"$out/.lock"
flock 9                                                # another run of the same hour goes first
if [ -f "$out/exit" ]; then exit "$(cat "$out/exit")"; fi # done before: nothing changes
[ -f "$out/profile.gpumon" ] ||
  gpumon profile "$ROWS/hour=$hour" -o "$out/profile.gpumon" --like "$MONITOR/reference.gpumon" \
    ${SCHEDULER:+--scheduler "$SCHEDULER"} --resume "$out/partial" --quiet || exit 3
code=0
gpumon scan "$MONITOR/reference.gpumon" "$out/profile.gpumon" --html "$out/report.html" --json "$out/report.json" \
  --quiet || code=$?
if [ "$code" -gt 2 ]; then exit "$code"; fi            # not finished: the next run tries again
echo "$code" >"$out/exit.new"
mv "$out/exit.new" "$out/exit"                         # whole or not at all
exit "$code"
