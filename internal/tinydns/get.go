package tinydns

func Get(args []string) error { return nil }
