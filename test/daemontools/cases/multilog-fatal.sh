: > f; show multilog ./f </dev/null; show multilog ./no/dir </dev/null; show multilog =no/file </dev/null; show multilog =. </dev/null
mkdir -p d/current; show multilog ./d </dev/null; mkdir -p g/lock; show multilog ./g </dev/null; mkdir -p h/state; chmod 755 h; show multilog ./h < /dev/null
mkdir k; ln -s loop k/current; ln -s current k/loop; show multilog ./k </dev/null
