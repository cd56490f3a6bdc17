show setlock -n lock sh -c 'readlink /proc/self/fd/3 | sed "s/.*\///"; ls -l lock | cut -c1-10; setlock -n lock echo inner; echo $?; setlock -nx lock echo inner; echo $?; setlock -n -x -X lock echo inner; echo $?'
echo data > full; show setlock full cat full
# descendants keep it
setlock lock sh -c 'sleep 30 >/dev/null 2>&1 & echo $! > pid'
killed=$(cat pid)
show setlock -n lock echo no; show flock -n lock echo no
kill $killed; show setlock lock echo then; show setlock -N lock echo now
flock lock sleep 30 >/dev/null 2>&1 & f=$!; try sh -c '! flock -n lock true'
show setlock -n lock echo no; pkill -P $f sleep; show setlock lock echo waited
mkdir dir; show setlock dir true; show setlock -x dir true
