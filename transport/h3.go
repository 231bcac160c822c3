package transport

// newH3Server returns what serves WebTransport, or nil.
func (l *NetListener) newH3Server() h3Server { return nil }
