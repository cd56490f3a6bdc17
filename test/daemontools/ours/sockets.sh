service s <<'X'
{ echo "$LISTEN_FDS $LISTEN_FDNAMES"; [ $LISTEN_PID = $$ ] && echo mine; ls -l /proc/$$/fd | grep -o '[3-9][0-9]* -> socket.*'; } > seen.new
mv seen.new seen
exec sleep 1000
X
cat > s/sockets <<'X'
# two of them
udp 127.0.0.1:40653 dns
unix ./socket
nonsense
X
supervise s 2>err & p=$!; killed=$p; try test -e s/seen; sed 's/socket:.*/socket/' s/seen; cp s/seen first; cat err; sleep 1; rm s/seen; svc -t s; try test -e s/seen; cmp first s/seen && echo same sockets
# a changed list: the kept one stays, the others go
sleep 1; rm s/seen; echo 'udp 127.0.0.1:40653 dns' > s/sockets; svc -t s; try test -e s/seen; sed 's/socket:.*/socket/' s/seen; grep -cF "$(grep '^3' s/seen)" first
svc -dx s; wait $p; echo "= $?"; test -e s/socket && echo file stays
