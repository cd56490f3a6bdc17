service s <<'X'
exec sleep 1000
X
# FIFOs replaced by files
mkdir s/supervise; : > s/supervise/control; show supervise s; rm s/supervise/control; : > s/supervise/ok; show supervise s; rm s/supervise/ok
supervise s 2>err & p=$!; killed=$p; up s; rm s/supervise/control; : > s/supervise/control; show svc -d s; rm s/supervise/ok; : > s/supervise/ok; show svok s; show svstat s
# the directory goes while it runs: it can still be stopped, by signal
rm -rf s; kill -TERM $p; wait $p; echo "= $?"; sort -u err
mkdir r; echo x > r/supervise-file; service r <<'X'
exec sleep 1000
X
chmod 0 r/run; supervise r 2>err2 & p=$!; killed=$p; has err2 unable; svc -dx -wD r; wait $p; echo "= $?"; sort -u err2
