show fghack sh -c 'exit 0'; show fghack sh -c 'exit 7'; show fghack sh -c 'kill -9 $$'
show fghack sh -c 'ls /proc/self/fd | wc -l > n; [ $(cat n) -ge 34 ] && echo many'
# waits for the daemon
show fghack sh -c '(sleep 0.3; echo daemon ends) & exit 3'
show fghack sh -c '(exec 3>&- 4>&- 5>&- 6>&- 7>&-; sleep 0.3; echo daemon ends) & exit 3'
