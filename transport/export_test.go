package transport

// Ungated returns c with the gate before quic-go's queue switched off.
func Ungated(c SessionConfig) SessionConfig {
	c.ungated = true
	return c
}
