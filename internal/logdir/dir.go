package logdir

import (
	"compress/gzip"
	"syscall"
	"time"

	"bulkhead/internal/logscript"
	"bulkhead/internal/posix"
	"bulkhead/internal/prog"
	"bulkhead/internal/tai64"
)

// Dir is one automatically rotated log directory (docs/format-multilog.md):
//
//	current    being written; owner-execute bit set = ended cleanly
//	previous   rotated, not archived yet
//	processed  the processor's output; owner-execute bit set = complete
//	state, newstate   what the processor keeps from one run to the next
//	@label.s   old logs, safely on disk; .u = cut off by a crash
//	lock       held while multilog runs
//
// Every step leaves the directory such that open, after a crash right there,
// neither loses nor repeats what is in the files. All file names are relative
// to the directory itself, which is entered before each step, so that a
// directory that has been moved stays the same directory.
type Dir struct {
	name    string // as typed, for messages
	conf    logscript.Dir
	fd      int
	current int
	bytes   int       // of current, counting what is in out up to flushed
	born    time.Time // of current, for Period
	log     *Log      // for the way back home and the clock

	// out holds bytes on the way to current: the first flushed of them count
	// as written, the rest is what a 512-byte output buffer would hold.
	out     []byte
	flushed int

	selected bool // whether the present line goes here
}

// Sizes in bytes.
const (
	// bufferSize is the output buffer of 0.76: where a file ends depends on it,
	// since a file is cut at the last line end within the piece being written.
	bufferSize = 512
	// margin before the full size within which line ends are looked for.
	margin = 2000
	// outSize is how much is gathered for one write.
	outSize = 32 << 10
)

const (
	modeInUse = 0o644
	modeSafe  = 0o744
	safeBit   = 0o100
)

// enter makes the directory the working one.
func (d *Dir) enter() {
	d.log.persist("unable to switch to "+d.name, func() error { return syscall.Fchdir(d.fd) })
}

// open is the start sequence of one directory; its failures are fatal.
func (d *Dir) open() error {
	posix.Mkdir(d.name, 0o700)
	var err error
	if d.fd, err = posix.OpenRead(d.name); err == nil {
		err = syscall.Fchdir(d.fd)
	}
	if err != nil {
		return prog.Fatal("unable to open directory "+d.name, err)
	}
	lock, err := posix.OpenAppend("lock")
	if err == nil {
		err = posix.Lock(lock, false)
	}
	if err != nil {
		return prog.Fatal("unable to lock directory "+d.name, err)
	}
	st, exists, err := stat("current")
	if err != nil {
		return prog.Fatal("unable to stat "+d.name+"/current", err)
	}
	if exists && st.Mode&safeBit != 0 {
		if d.current, err = posix.OpenAppend("current"); err != nil {
			return prog.Fatal("unable to append to "+d.name+"/current", err)
		}
		if err = posix.Fchmod(d.current, modeInUse); err != nil {
			return prog.Fatal("unable to set mode of "+d.name+"/current", err)
		}
		d.bytes = int(st.Size)
		d.born = time.Now()
		return nil
	}
	// A crash, or a new directory.
	posix.Unlink("state")
	posix.Unlink("newstate")
	st, exists, err = stat("processed")
	if err != nil {
		return prog.Fatal("unable to stat "+d.name+"/processed", err)
	}
	if exists && st.Mode&safeBit != 0 {
		posix.Unlink("previous")
		d.archive("processed", d.conf.Code)
	} else {
		posix.Unlink("processed")
		d.archive("previous", "u")
	}
	d.archive("current", "u")
	fd, err := posix.OpenTrunc("state")
	if err != nil {
		return prog.Fatal("unable to write to "+d.name+"/state", err)
	}
	syscall.Close(fd)
	if d.current, err = posix.OpenAppend("current"); err != nil {
		return prog.Fatal("unable to write to "+d.name+"/current", err)
	}
	if err = posix.Fchmod(d.current, modeInUse); err != nil {
		return prog.Fatal("unable to set mode of "+d.name+"/current", err)
	}
	d.born = time.Now()
	return nil
}

func stat(name string) (st syscall.Stat_t, exists bool, err error) {
	for {
		switch err = syscall.Stat(name, &st); err {
		case nil:
			return st, true, nil
		case syscall.EINTR:
		case syscall.ENOENT:
			return st, false, nil
		default:
			return st, false, err
		}
	}
}

// archive makes file an old log with the given suffix. A link count above one
// says that an earlier archive, cut off by a crash, got as far as the link.
func (d *Dir) archive(file, code string) {
	for {
		var st syscall.Stat_t
		var exists bool
		d.log.persist("unable to stat "+d.name+"/"+file, func() (err error) {
			st, exists, err = stat(file)
			return err
		})
		if !exists {
			return
		}
		if st.Nlink != 1 {
			break
		}
		name := string(tai64.AppendText(nil, d.log.now())) + "." + code
		err := posix.Link(file, name)
		if err == nil {
			break
		}
		d.log.pause("unable to link to "+d.name+"/"+name, err)
	}
	d.log.persist("unable to remove "+d.name+"/"+file, func() error { return posix.Unlink(file) })
	d.prune()
}

// prune removes the oldest logs until the new current fits into the number of
// files, and the old ones into their total size.
func (d *Dir) prune() {
	for {
		var oldest string
		n, total := 0, int64(0)
		d.log.persist("unable to read "+d.name, func() error {
			oldest, n, total = "", 0, 0
			names, err := readNames()
			for _, name := range names {
				if !isOld(name) {
					continue
				}
				n++
				if oldest == "" || name[:tai64.TextLen] < oldest[:tai64.TextLen] {
					oldest = name
				}
				if d.conf.Total > 0 {
					if st, exists, _ := stat(name); exists {
						total += st.Size
					}
				}
			}
			return err
		})
		if n < d.conf.Num && (d.conf.Total == 0 || total <= d.conf.Total || n <= 1) {
			return
		}
		d.log.persist("unable to remove "+d.name+"/"+oldest, func() error { return posix.Unlink(oldest) })
	}
}

// isOld tells old logs by their label.
func isOld(name string) bool { return len(name) >= tai64.TextLen && name[0] == '@' }

// put appends bytes as one piece, as 0.76's buffer takes them: a piece that
// does not fit makes the buffer go out first, one longer than the buffer goes
// out directly. b is copied.
func (d *Dir) put(b []byte) {
	if len(b) > bufferSize-(len(d.out)-d.flushed) {
		d.flush()
		if len(b) > bufferSize {
			d.add(b)
			d.flush()
			return
		}
	}
	d.add(b)
}

// putBytes appends bytes one by one, as the rest of a long line comes.
func (d *Dir) putBytes(b []byte) {
	for len(b) > 0 {
		room := bufferSize - (len(d.out) - d.flushed)
		if room == 0 {
			d.flush()
			room = bufferSize
		}
		n := min(room, len(b))
		d.add(b[:n])
		b = b[n:]
	}
}

func (d *Dir) add(b []byte) {
	if len(d.out)+len(b) > cap(d.out) && d.flushed > 0 {
		d.writeOut(d.flushed)
	}
	d.out = append(d.out, b...)
}

// flush lets the buffer go out: on paper as long as the file has room, for
// real, with all of 0.76's care, when it is nearly full.
func (d *Dir) flush() {
	n := len(d.out) - d.flushed
	if n == 0 {
		return
	}
	if d.bytes+n < d.conf.Size-margin {
		d.bytes += n
		d.flushed += n
		return
	}
	d.writeOut(d.flushed)
	for len(d.out) > 0 {
		d.writeNearEnd()
	}
}

// sync writes everything that has gone out on paper: done before each read.
func (d *Dir) sync() {
	d.flush()
	d.writeOut(d.flushed)
}

// writeOut writes the first n bytes of out, which are counted already.
func (d *Dir) writeOut(n int) {
	for done := 0; done < n; {
		done += d.write(d.out[done:n])
	}
	d.out = d.out[:copy(d.out, d.out[n:])]
	d.flushed -= n
}

// write writes some of b to current, however long it takes.
func (d *Dir) write(b []byte) (n int) {
	d.log.persist("unable to write to "+d.name+"/current", func() (err error) {
		n, err = posix.Write(d.current, b)
		if err == nil && n == 0 {
			err = syscall.ENOSPC
		}
		return err
	})
	return n
}

// writeNearEnd writes a piece of out when the file is nearly full: never
// beyond its size, up to a line end if the piece has one, and rotates after
// that line end (compat: daemontools.md section 9.2).
func (d *Dir) writeNearEnd() {
	if d.bytes >= d.conf.Size {
		d.rotate()
	}
	n := min(len(d.out), d.conf.Size-d.bytes)
	if d.bytes+n >= d.conf.Size-margin {
		if i := lastNewline(d.out[:n]); i >= 0 {
			n = i + 1
		}
	}
	n = d.write(d.out[:n])
	d.bytes += n
	ended := d.out[n-1] == '\n'
	d.out = d.out[:copy(d.out, d.out[n:])]
	if ended && d.bytes >= d.conf.Size-margin {
		d.rotate()
	}
}

func lastNewline(b []byte) int {
	for i := len(b) - 1; i >= 0; i-- {
		if b[i] == '\n' {
			return i
		}
	}
	return -1
}

// rotate makes current an old log, through the processor if there is one, and
// starts a new current.
func (d *Dir) rotate() {
	p := d.log
	d.enter()
	p.persist("unable to write "+d.name+"/current to disk", func() error { return posix.Fsync(d.current) })
	syscall.Close(d.current)
	p.persist("unable to rename current to previous in directory "+d.name, func() error { return posix.Rename("current", "previous") })
	p.persist("unable to create "+d.name+"/current", func() (err error) {
		d.current, err = posix.OpenAppend("current")
		return err
	})
	d.bytes = 0
	d.born = p.now()
	p.persist("unable to set mode of "+d.name+"/current", func() error { return posix.Fchmod(d.current, modeInUse) })
	p.persist("unable to set mode of "+d.name+"/previous", func() error { return posix.Chmod("previous", modeSafe) })
	switch {
	case d.conf.Process:
		d.process()
	case d.conf.Gzip():
		d.compress()
	default:
		d.archive("previous", d.conf.Code)
	}
	p.home()
}

// process runs the processor until it succeeds, then archives what it wrote.
func (d *Dir) process() {
	p := d.log
	for !d.runProcessor() {
	}
	d.syncFile("processed", modeSafe)
	d.syncFile("newstate", 0)
	p.persist("unable to remove "+d.name+"/previous", func() error { return posix.Unlink("previous") })
	p.persist("unable to rename newstate to state in directory "+d.name, func() error { return posix.Rename("newstate", "state") })
	d.archive("processed", d.conf.Code)
}

// syncFile puts a file that is there on disk; then it gets mode, if there is one.
func (d *Dir) syncFile(name string, mode uint32) {
	p := d.log
	fd := -1
	p.persist("unable to write "+d.name+"/"+name+" to disk", func() (err error) {
		if fd, err = posix.Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil {
			return err
		}
		if err = posix.Fsync(fd); err != nil {
			syscall.Close(fd)
		}
		return err
	})
	if mode != 0 {
		p.persist("unable to set mode of "+d.name+"/"+name, func() error { return posix.Fchmod(fd, mode) })
	}
	syscall.Close(fd)
}

// compress is process with multilog as its own processor: previous goes when
// processed is complete and on disk.
func (d *Dir) compress() {
	p := d.log
	from, to := -1, -1
	p.persist("unable to read "+d.name+"/previous", func() (err error) {
		from, err = posix.OpenRead("previous")
		return err
	})
	p.persist("unable to create "+d.name+"/processed", func() (err error) {
		to, err = posix.OpenTrunc("processed")
		return err
	})
	out := sink{d, to}
	if p.zip == nil {
		p.zip, p.zipBuf = gzip.NewWriter(out), make([]byte, zipRead)
	} else {
		p.zip.Reset(out)
	}
	for {
		n := 0
		p.persist("unable to read "+d.name+"/previous", func() (err error) {
			n, err = posix.Read(from, p.zipBuf)
			return err
		})
		if n == 0 {
			break
		}
		p.zip.Write(p.zipBuf[:n]) // the sink has no errors
	}
	p.zip.Close()
	syscall.Close(from)
	syscall.Close(to)
	d.syncFile("processed", modeSafe)
	p.persist("unable to remove "+d.name+"/previous", func() error { return posix.Unlink("previous") })
	d.archive("processed", d.conf.Code)
}

// zipRead is how much of previous is compressed at a time, in bytes.
const zipRead = 32 << 10

// sink writes processed, however long it takes.
type sink struct {
	d  *Dir
	fd int
}

func (s sink) Write(b []byte) (int, error) {
	for done := 0; done < len(b); {
		s.d.log.persist("unable to write to "+s.d.name+"/processed", func() error {
			n, err := posix.Write(s.fd, b[done:])
			if err == nil && n == 0 {
				err = syscall.ENOSPC
			}
			done += max(n, 0)
			return err
		})
	}
	return len(b), nil
}

// runProcessor runs the command once, in the log directory: 0 is previous, 1
// processed, 4 state, 5 newstate.
func (d *Dir) runProcessor() bool {
	p := d.log
	open := func(name string, flags int, what string) (fd int) {
		p.persist(what, func() (err error) {
			fd, err = posix.Open(name, flags, 0o644)
			return err
		})
		return fd
	}
	const trunc = syscall.O_WRONLY | syscall.O_CREAT | syscall.O_TRUNC
	previous := open("previous", syscall.O_RDONLY, "unable to fork for processor in "+d.name)
	processed := open("processed", trunc, "unable to create "+d.name+"/processed")
	state := open("state", syscall.O_RDONLY|syscall.O_CREAT, "unable to fork for processor in "+d.name)
	newstate := open("newstate", trunc, "unable to create "+d.name+"/newstate")
	files := []uintptr{uintptr(previous), uintptr(processed), 2, ^uintptr(0), uintptr(state), uintptr(newstate)}
	pid, failed := 0, false
	p.persist("unable to fork for processor in "+d.name, func() (err error) {
		pid, err = posix.ForkExec("/bin/sh", []string{"/bin/sh", "-c", d.conf.Processor}, &syscall.ProcAttr{Env: p.env, Files: files})
		if err != nil && err != syscall.EAGAIN && err != syscall.ENOMEM {
			prog.Print("fatal: unable to run " + d.conf.Processor + ": " + words(err))
			failed = true
			return nil
		}
		return err
	})
	for _, fd := range []int{previous, processed, state, newstate} {
		syscall.Close(fd)
	}
	if !failed {
		var ws syscall.WaitStatus
		p.persist("wait failed for processor in "+d.name, func() error {
			_, err := posix.Wait4(pid, &ws, 0)
			return err
		})
		if !ws.Exited() {
			p.pause("processor crashed in "+d.name, syscall.EINTR)
		}
		if ws.Exited() && ws.ExitStatus() == 0 {
			return true
		}
	}
	prog.Warn("processor failed in "+d.name+", pausing", nil)
	posix.Sleep(int64(retryPause))
	return false
}

// close ends a directory cleanly.
func (d *Dir) close() {
	p := d.log
	d.sync()
	d.enter()
	p.persist("unable to write "+d.name+"/current to disk", func() error { return posix.Fsync(d.current) })
	p.persist("unable to set mode of "+d.name+"/current", func() error { return posix.Fchmod(d.current, modeSafe) })
	p.home()
}
