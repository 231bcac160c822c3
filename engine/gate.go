package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/earshotrtc/earshot/engine/usersig"
	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/transport"
)

// deciderTimeout is how long a decider may take before the answer is no.
const deciderTimeout = 2 * time.Second

// gate holds off strangers: it counts connections that have not signed in, in
// all and by address, and limits how often an address may try.
type gate struct {
	maxPending, maxPerAddr int
	perSecond              float64
	pending                atomic.Int64

	mu    sync.Mutex
	addrs map[string]*addrState
	swept time.Time
}

type addrState struct {
	pending int
	limit   *rate.Limiter
	seen    time.Time
}

// A gateError says why a connection does not come in.
type gateError struct {
	reason refusalReason
	words  string
}

func (e *gateError) Error() string { return e.words }

// gateForget is after how long an address that does nothing is forgotten; its
// limiter is full again by then.
const gateForget = time.Minute

func newGate(cfg ServerConfig) *gate {
	return &gate{
		maxPending: cfg.MaxPending,
		maxPerAddr: cfg.MaxPendingPerAddr,
		perSecond:  cfg.SignInsPerSecond,
		addrs:      make(map[string]*addrState),
	}
}

// requireRetry says whether a new address must first show that it is there.
func (g *gate) requireRetry(net.Addr) bool { return g.pending.Load() >= int64(g.maxPending/2) }

// host is the key by which addresses are counted. In-process clients have no
// address, and are not limited.
func (g *gate) host(s transport.Session) (string, bool) {
	a, ok := s.RemoteAddr().(*net.UDPAddr)
	if !ok {
		return "", false
	}
	ip := a.AddrPort().Addr().Unmap()
	if ip.Is6() { // whoever has one address of a /64 has them all
		p, _ := ip.Prefix(64)
		ip = p.Addr()
	}
	return ip.String(), true
}

// enter counts a connection in, or says why it may not come in. leave must be
// called once if it came in.
func (g *gate) enter(s transport.Session) (leave func(), no *gateError) {
	host, counted := g.host(s)
	if !counted {
		return func() {}, nil
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pending.Load() >= int64(g.maxPending) {
		return nil, &gateError{refusedPending, "too many connections are signing in"}
	}
	st := g.addrs[host]
	if st == nil {
		g.sweep(now)
		st = &addrState{limit: rate.NewLimiter(rate.Limit(g.perSecond), int(5*g.perSecond)+1)}
		g.addrs[host] = st
	}
	st.seen = now
	if st.pending >= g.maxPerAddr {
		return nil, &gateError{refusedPendingAddr, fmt.Sprintf("too many connections from %s are signing in", host)}
	}
	if !st.limit.AllowN(now, 1) {
		return nil, &gateError{refusedRate, fmt.Sprintf("too many sign-ins from %s", host)}
	}
	st.pending++
	g.pending.Add(1)
	var once sync.Once
	return func() {
		once.Do(func() {
			g.mu.Lock()
			st.pending--
			g.mu.Unlock()
			g.pending.Add(-1)
		})
	}, nil
}

// sweep forgets addresses that have long done nothing, now and then.
func (g *gate) sweep(now time.Time) {
	if now.Sub(g.swept) < gateForget {
		return
	}
	g.swept = now
	for host, st := range g.addrs {
		if st.pending == 0 && now.Sub(st.seen) > gateForget {
			delete(g.addrs, host)
		}
	}
}

// UserSigSignIn returns the sign-in decider of a server that has a key: it lets
// in who shows a UserSig of sdkAppID that was signed with key and holds now. A
// host that wants to check more wraps it in a decider of its own.
func UserSigSignIn(sdkAppID uint32, key string) hooks.SignInDecider {
	v := usersig.Verifier{SDKAppID: sdkAppID, Key: key}
	return func(_ context.Context, req hooks.SignInRequest) (hooks.SignIn, error) {
		if req.SDKAppID != sdkAppID {
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeUserSigCheck,
				Message: fmt.Sprintf("SDKAppID %d is not served here", req.SDKAppID)}
		}
		claims, err := v.Verify(req.UserSig, req.UserID)
		switch {
		case errors.Is(err, usersig.ErrMalformed):
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeUserSig, Message: "the UserSig is not one: " + err.Error()}
		case err != nil:
			return hooks.SignIn{}, &hooks.Refusal{Code: hooks.CodeUserSigCheck, Message: "the UserSig does not hold: " + err.Error()}
		}
		return hooks.SignIn{ExpiresAt: claims.ExpiresAt()}, nil
	}
}

// decideSignIn asks the decider, and turns whatever goes wrong into a no.
func (s *Server) decideSignIn(req hooks.SignInRequest) (hooks.SignIn, *hooks.Refusal) {
	var answer hooks.SignIn
	err := s.meters.signIn.decide(context.Background(), func(ctx context.Context) (err error) {
		answer, err = s.cfg.SignIn(ctx, req)
		return err
	})
	if r := s.refusal("SignIn", err, "sign-in refused by the host"); r != nil {
		return hooks.SignIn{}, r
	}
	return answer, nil
}
