mkdir d1 d2 d3 e
printf '#!/bin/sh\necho one "$@"\n' > d1/prog; printf '#!/bin/sh\necho two "$@"\n' > d2/prog; chmod 755 d2/prog
mkdir d3/prog
printf 'not a program' > d2/text; chmod 755 d2/text
b=$bin
for p in "envdir e" "pgrphack" "setlock f" "softlimit -c 0" "envuidgid root"; do
  set -- $p; w=$1; shift
  PATH=$PWD/d1:$PWD/d2 show $b/$w "$@" prog x y
  PATH=$PWD/d1 show $b/$w "$@" prog
  PATH=$PWD/d3 show $b/$w "$@" prog
  PATH=$PWD/d3:$PWD/d2 show $b/$w "$@" prog
  PATH=$PWD/d2 show $b/$w "$@" text
  PATH= show $b/$w "$@" prog
  (cd d2; PATH=:/bin show $b/$w $(echo "$@" | sed 's/^e$/..\/e/;s/^f$/..\/f/') prog here)
  show $b/$w "$@" ./d2/prog direct
  show $b/$w "$@" ./d1/prog
  show $b/$w "$@" ./nothing
  show $b/$w "$@" nothing-of-this-name
  show $b/$w "$@" d2/prog/below
done
PATH=$PWD/d1:$PWD/d2:$PATH; show $b/fghack prog z
show $b/fghack nothing-of-this-name; show $b/fghack ./d1/prog
