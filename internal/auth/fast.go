package auth

type fastState struct{}

func (a *Answerer) fastAnswer(dst []byte) ([]byte, bool) { return dst, false }
