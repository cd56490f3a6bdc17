// Compartments shows the walls around a running service; see compartments(8).
package main

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"

	"bulkhead/internal/boxes"
	"bulkhead/internal/getopt"
	"bulkhead/internal/prog"
	"bulkhead/internal/walls"
)

const usage = "compartments [ -j ] dir|pid ..."

func main() { prog.Main("compartments", run) }

func run(args []string) error {
	asJSON := false
	o := getopt.New(args, "j")
	for {
		switch o.Next() {
		case 0:
			if len(o.Args()) == 0 {
				return prog.Usage(usage)
			}
			return report(o.Args(), asJSON)
		case 'j':
			asJSON = true
		default:
			return prog.Usage(usage)
		}
	}
}

// service is one report; the JSON form prints a list of them.
type service struct {
	Service string       `json:"service"`
	PID     int          `json:"pid"`
	Program string       `json:"program"`
	Walls   []walls.Wall `json:"walls"`
}

func report(targets []string, asJSON bool) error {
	breach := false
	var all []service
	for _, t := range targets {
		s, err := inspect(t)
		if err != nil {
			return err
		}
		all = append(all, s)
		for _, w := range s.Walls {
			breach = breach || w.Declared && !w.Stands
		}
	}
	if asJSON {
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(all); err != nil {
			return prog.Fatal("unable to write output", err)
		}
	} else if _, err := os.Stdout.WriteString(text(all)); err != nil {
		return prog.Fatal("unable to write output", err)
	}
	if breach {
		return prog.Exit(1)
	}
	return nil
}

func inspect(target string) (service, error) {
	s := service{Service: target}
	pid, err := strconv.Atoi(target)
	if err != nil {
		if pid, err = walls.ServicePID(target); err != nil {
			return s, prog.Fatal("unable to read "+target+"/supervise/status", err)
		}
		if pid == 0 {
			return s, prog.Fatal(target+" is down", nil)
		}
	}
	s.PID = pid
	if s.Program, err = walls.Program("/proc", pid); err != nil {
		return s, prog.Fatal("unable to inspect process "+strconv.Itoa(pid), err)
	}
	box, ok := boxes.All[s.Program]
	if !ok {
		return s, prog.Fatal("process "+strconv.Itoa(pid)+" runs "+s.Program+", which declares no box", nil)
	}
	if s.Walls, err = walls.Inspect("/proc", pid, box); err != nil {
		return s, prog.Fatal("unable to inspect process "+strconv.Itoa(pid), err)
	}
	return s, nil
}

func text(all []service) string {
	var b strings.Builder
	for _, s := range all {
		b.WriteString(s.Service + ": " + s.Program + " (pid " + strconv.Itoa(s.PID) + ")\n")
		for _, w := range s.Walls {
			state := "stands "
			switch {
			case !w.Stands && w.Declared:
				state = "MISSING"
			case !w.Stands:
				state = "none   "
			}
			name := w.Name + strings.Repeat(" ", max(0, 14-len(w.Name)))
			b.WriteString("  " + state + "  " + name + w.Detail + "\n")
		}
	}
	return b.String()
}
