# signals ignored at the start stay ignored through the wrappers
mkdir e
g() { grep SigIgn /proc/self/status; }
for w in "envdir e" pgrphack "setlock f" "softlimit -c 0" "envuidgid root" fghack; do
  (trap '' TERM PIPE QUIT USR1 HUP INT WINCH; $w sh -c 'grep SigIgn /proc/self/status')
  $w sh -c 'grep SigIgn /proc/self/status'
  (trap '' XFSZ; $w sh -c 'grep -E "Sig(Blk|Ign|Cgt)" /proc/self/status')
done
