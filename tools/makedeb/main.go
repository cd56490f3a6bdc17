// Makedeb makes a Debian package with nfpm from a description file. It links
// nfpm's deb packager only: the others' dependencies are not needed.
//
//	makedeb nfpm.yaml target.deb
package main

import (
	"fmt"
	"os"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "makedeb: usage: makedeb nfpm.yaml target.deb")
		os.Exit(100)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "makedeb: fatal:", err)
		os.Exit(111)
	}
}

func run(description, target string) error {
	config, err := nfpm.ParseFileWithEnvMapping(description, os.Getenv)
	if err != nil {
		return err
	}
	info, err := config.Get("deb")
	if err != nil {
		return err
	}
	info = nfpm.WithDefaults(info)
	info.Target = target
	p, err := nfpm.Get("deb")
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, "deb"); err != nil {
		return err
	}
	f, err := os.Create(target)
	if err != nil {
		return err
	}
	if err := p.Package(info, f); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
