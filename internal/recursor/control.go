package recursor

import "bulkhead/internal/resolver"

type control struct{}

func (*control) close() {}

func (s *Server) openControl(string) *control { return &control{} }

const traceTicket = 1 << 63

type tracer struct{}

func (*tracer) event(*resolver.Event) {}

func (w *worker) traced(*resolver.Question, *resolver.Answer) {}
