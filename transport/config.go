package transport

import (
	"log/slog"
	"time"
)

// SessionConfig tunes sessions. The zero value is meant for calls.
type SessionConfig struct {
	// QueueLen is how many packets may wait to be sent. Default: 256 packets.
	QueueLen int
	// IdleTimeout ends a session whose peer is silent for so long; of the two
	// peers' the shorter counts. QUIC raises a peer's below 5 s to 5 s.
	// Default: 8 s.
	IdleTimeout time.Duration
	// KeepAlive is how often something is sent on an otherwise silent session,
	// so that neither the peer nor a NAT on the way forgets it. A negative
	// value sends nothing. Default: 1.5 s for dialers, none for listeners.
	KeepAlive time.Duration
	// MaxStreams is how many unidirectional streams the peer may have open at
	// once. Default: 64 streams.
	MaxStreams int
	// DiscoverMTU finds out whether the path takes packets of more than QUIC's
	// least, 1200 bytes of UDP payload (RFC 8899). RTP packets of 1163 to about
	// 1410 bytes then travel in datagrams instead of on streams, after some round
	// trips. The price: if the path's MTU shrinks later, whatever is on a stream,
	// the control stream too, stands still until the session migrates or ends.
	// Default: off, and a shrinking MTU is not noticed.
	DiscoverMTU bool

	// ungated switches the gate before quic-go's queue off, to measure what it
	// is for.
	ungated bool
}

func (c SessionConfig) withDefaults(dialer bool) SessionConfig {
	if c.QueueLen <= 0 {
		c.QueueLen = 256
	}
	if c.IdleTimeout <= 0 {
		c.IdleTimeout = 8 * time.Second
	}
	if c.KeepAlive == 0 && dialer {
		c.KeepAlive = 1500 * time.Millisecond
	}
	c.KeepAlive = max(c.KeepAlive, 0)
	if c.MaxStreams <= 0 {
		c.MaxStreams = 64
	}
	return c
}

func orSilent(l *slog.Logger) *slog.Logger {
	if l == nil {
		return slog.New(slog.DiscardHandler)
	}
	return l
}
