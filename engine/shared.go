package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// ErrNotInit: there is no shared instance: Init was not called or failed, or
// the client that it made has ended.
var ErrNotInit = errors.New("earshot: no shared instance: call Init first")

// ErrInitTwice: there is a shared instance already, or one is being made.
var ErrInitTwice = errors.New("earshot: Init was called already: destroy that client first")

// shared is the one global of the package, for programs that have one user and
// one place to sign in.
var shared struct {
	sync.Mutex
	client  *Client
	dialing bool
}

// Init signs a user in as Dial does and keeps the client for SharedInstance.
// Errors: ErrInitTwice while there is one that has not ended; those of Dial,
// after which Init may be tried again. When the client was destroyed, or ended
// by itself (kicked, disconnected), Init may sign in the next user.
func Init(ctx context.Context, cfg ClientConfig) (*Client, error) {
	shared.Lock()
	if shared.dialing || shared.client != nil && !shared.client.over() {
		shared.Unlock()
		return nil, ErrInitTwice
	}
	shared.dialing, shared.client = true, nil
	shared.Unlock()

	c, err := Dial(ctx, cfg)

	shared.Lock()
	defer shared.Unlock()
	shared.dialing = false
	if err != nil {
		return nil, err
	}
	shared.client = c
	return c, nil
}

// SharedInstance returns the client that Init made. Errors: ErrNotInit before
// that, after Destroy, and when the client has ended by itself; why it did,
// such as ErrKicked, is in the error, too.
func SharedInstance() (*Client, error) {
	shared.Lock()
	defer shared.Unlock()
	c := shared.client
	switch {
	case c == nil:
		return nil, ErrNotInit
	case c.over():
		if why := c.Err(); why != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotInit, why)
		}
		return nil, fmt.Errorf("%w: %w", ErrNotInit, ErrClosed)
	}
	return c, nil
}

// over reports whether the client has ended or is being destroyed.
func (c *Client) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err != nil || c.leaving
}
