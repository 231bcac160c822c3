package transport_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/earshotrtc/earshot/transport/simnet"
	"github.com/quic-go/quic-go"
)

func listen(t testing.TB, cfg transport.ListenConfig) *transport.NetListener {
	t.Helper()
	if cfg.Addr == "" && cfg.Conn == nil {
		cfg.Addr = "127.0.0.1:0"
	}
	ln, err := transport.Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

func TestDialTrust(t *testing.T) {
	cert := newCert(t)
	old := newCertFor(t, time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2002, 1, 1, 0, 0, 0, 0, time.UTC))
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	expired := listen(t, transport.ListenConfig{TLSConfig: old.server()})
	skip := cert.roots()
	skip.InsecureSkipVerify = true
	skip.RootCAs = nil
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	otherName := cert.roots()
	otherName.ServerName = "elsewhere.test"
	for _, c := range []struct {
		name   string
		ln     *transport.NetListener
		dialer transport.QUICDialer
		as     any   // what the error unwraps to
		is     error // or is
	}{
		{name: "pin", ln: ln, dialer: transport.QUICDialer{Pin: cert.pin()}},
		{name: "pin of an expired certificate", ln: expired, dialer: transport.QUICDialer{Pin: old.pin()}},
		{name: "root", ln: ln, dialer: transport.QUICDialer{TLSConfig: cert.roots()}},
		{name: "wrong pin", ln: ln, dialer: transport.QUICDialer{Pin: old.pin()}, is: transport.ErrPin},
		{name: "wrong pin, trusted root", ln: ln, dialer: transport.QUICDialer{Pin: old.pin(), TLSConfig: cert.roots()}, is: transport.ErrPin},
		{name: "no trust", ln: ln, dialer: transport.QUICDialer{}, as: &unknown},
		{name: "InsecureSkipVerify changes nothing", ln: ln, dialer: transport.QUICDialer{TLSConfig: skip}, as: &unknown},
		{name: "other name", ln: ln, dialer: transport.QUICDialer{TLSConfig: otherName}, as: &name},
		{name: "expired", ln: expired, dialer: transport.QUICDialer{TLSConfig: old.roots()}, as: &invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := c.dialer.Dial(t.Context(), c.ln.Addr().String())
			if err == nil {
				s.Close()
			}
			switch {
			case c.as == nil && c.is == nil:
				if err != nil {
					t.Errorf("Dial: %v", err)
				}
			case c.as != nil && !errors.As(err, c.as), c.is != nil && !errors.Is(err, c.is):
				t.Errorf("Dial: %v (%T)", err, err)
			}
		})
	}
	bad := transport.QUICDialer{Pin: []byte("short")}
	if _, err := bad.Dial(t.Context(), ln.Addr().String()); err == nil || !strings.Contains(err.Error(), "32 bytes") {
		t.Errorf("a pin of 5 bytes: %v", err)
	}
}

func TestDialAddresses(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	d := transport.QUICDialer{TLSConfig: cert.roots()}
	s, err := d.Dial(t.Context(), "localhost:"+port) // which may be ::1 first
	if err != nil {
		t.Fatalf("localhost: %v", err)
	}
	s.Close()
	for addr, want := range map[string]string{
		"":                 "host:port",
		"example.org":      "host:port",
		"example.org:http": "not a port",
		"127.0.0.1:0":      "not a port",
		"127.0.0.1:70000":  "not a port",
		":4433":            "no host",
	} {
		if _, err := d.Dial(t.Context(), addr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Dial(%q): %v, want %q in it", addr, err, want)
		}
	}
}

func TestListenErrors(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	addr := ln.Addr().String()
	_, err := transport.Listen(transport.ListenConfig{Addr: addr, TLSConfig: cert.server()})
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("port in use: %v", err)
	}
	for _, addr := range []string{"nonsense", "127.0.0.1:99999", "192.0.2.1:0"} {
		if ln, err := transport.Listen(transport.ListenConfig{Addr: addr, TLSConfig: cert.server()}); err == nil {
			ln.Close()
			t.Errorf("Listen on %q works", addr)
		} else if !strings.Contains(err.Error(), addr) {
			t.Errorf("Listen on %q: %v", addr, err)
		}
	}
	if _, err := transport.Listen(transport.ListenConfig{Addr: "127.0.0.1:0"}); err == nil {
		t.Error("Listen without a certificate works")
	}
	// The port is free again after Close.
	ln.Close()
	again, err := transport.Listen(transport.ListenConfig{Addr: addr, TLSConfig: cert.server()})
	if err != nil {
		t.Fatalf("after Close: %v", err)
	}
	again.Close()
}

func TestNobodyAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := simnet.New(simnet.Config{})
		defer n.Close()
		d := transport.QUICDialer{Conn: func() (net.PacketConn, error) { return n.Endpoint("10.0.0.2:5000") }}
		start := time.Now()
		_, err := d.Dial(t.Context(), "10.0.0.1:4433")
		var timeout net.Error
		if !errors.As(err, &timeout) || !timeout.Timeout() || !strings.Contains(err.Error(), "10.0.0.1:4433: no answer") {
			t.Errorf("Dial: %v", err)
		}
		if d := time.Since(start); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("given up after %v, want 5 s", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := d.Dial(ctx, "10.0.0.1:4433"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Dial with a context of 1 s: %v", err)
		}
		d.Conn = func() (net.PacketConn, error) { return nil, os.ErrPermission }
		if _, err := d.Dial(t.Context(), "10.0.0.1:4433"); !errors.Is(err, os.ErrPermission) {
			t.Errorf("Dial without a socket: %v", err)
		}
		time.Sleep(time.Minute)
	})
}

func TestMaxSessions(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server(), MaxSessions: 2})
	d := transport.QUICDialer{Pin: cert.pin()}
	var sessions []transport.Session
	for range 2 {
		s, err := d.Dial(t.Context(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		sessions = append(sessions, s)
	}
	if s, err := d.Dial(t.Context(), ln.Addr().String()); err == nil {
		s.Close()
		t.Error("a third session is accepted")
	} else if !strings.Contains(err.Error(), "full") {
		t.Errorf("a third session: %v", err)
	}
	accepted, err := ln.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sessions[0].Close()
	<-accepted.Done()
	eventually(t, "a place is free again", func() bool {
		s, err := d.Dial(t.Context(), ln.Addr().String())
		if err == nil {
			s.Close()
		}
		return err == nil
	})
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-timeout:
			t.Fatal("it did not come to pass: " + what)
		}
	}
}

func TestRequireRetry(t *testing.T) {
	cert := newCert(t)
	var asked atomic.Int32
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server(), RequireRetry: func(a net.Addr) bool {
		asked.Add(1)
		return a.(*net.UDPAddr).IP.IsLoopback()
	}})
	s, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
	if asked.Load() == 0 {
		t.Error("RequireRetry is not asked")
	}
}

// dialRaw connects a QUIC client that is not ours.
func dialRaw(t testing.TB, ln *transport.NetListener, cert *testCert, protocols []string, conf *quic.Config) (*quic.Conn, error) {
	t.Helper()
	c := cert.roots()
	c.NextProtos = protocols
	conn, err := quic.DialAddr(t.Context(), ln.Addr().String(), c, conf)
	if err == nil {
		t.Cleanup(func() { conn.CloseWithError(0, "") })
	}
	return conn, err
}

func TestStrangers(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: cert.server()})
	ours := []string{roq.ALPNEarshot}
	var alert *quic.TransportError
	if _, err := dialRaw(t, ln, cert, []string{"hq-29"}, nil); !errors.As(err, &alert) || alert.ErrorCode != 0x100+120 {
		t.Errorf("another protocol: %v", err)
	}
	conn, err := dialRaw(t, ln, cert, ours, &quic.Config{})
	if err != nil {
		t.Fatal(err)
	}
	<-conn.Context().Done()
	var app *quic.ApplicationError
	if err := context.Cause(conn.Context()); !errors.As(err, &app) || ErrorCode(app) != roq.ExpectationUnmet {
		t.Errorf("a client without datagrams: %v, want ExpectationUnmet", err)
	}

	// And servers that are not ours.
	tlsConf := cert.server()
	for _, c := range []struct {
		protocol string
		want     string
	}{{"hq-29", "does not speak roq-14-earshot"}, {roq.ALPNEarshot, "does not support QUIC datagrams"}} {
		tlsConf := tlsConf.Clone()
		tlsConf.NextProtos = []string{c.protocol}
		socket := must(net.ListenPacket("udp4", "127.0.0.1:0"))
		tr := &quic.Transport{Conn: socket}
		other, err := tr.Listen(tlsConf, nil)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), other.Addr().String()); err == nil {
			s.Close()
			t.Errorf("a server of %q is accepted", c.protocol)
		} else if !strings.Contains(err.Error(), c.want) {
			t.Errorf("a server of %q: %v", c.protocol, err)
		}
		tr.Close()
		socket.Close()
	}
}

func ErrorCode(e *quic.ApplicationError) transport.ErrorCode {
	return transport.ErrorCode(e.ErrorCode)
}

func TestGetConfigForClient(t *testing.T) {
	cert := newCert(t)
	ln := listen(t, transport.ListenConfig{TLSConfig: &tls.Config{
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return cert.server(), nil },
	}})
	s, err := (&transport.QUICDialer{Pin: cert.pin()}).Dial(t.Context(), ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// TestPeerVanishes: after 8 s of silence the session ends, not much earlier
// and not much later, on both sides.
func TestPeerVanishes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t, simnet.Link{Delay: 20 * time.Millisecond}, transport.SessionConfig{})
		defer s.close()
		s.server.HandleFlow(1, func([]byte, time.Time) {})
		for range 100 {
			s.client.Send(transport.Packet{Flow: 1, Payload: rtpPacket(100, 1)})
			time.Sleep(20 * time.Millisecond)
		}
		s.net.Cut(s.clientConn, s.serverConn)
		cut := time.Now()
		time.Sleep(100 * time.Millisecond) // what was under way
		heard := s.server.Stats().LastHeard
		for _, side := range []struct {
			name string
			transport.Session
		}{{"client", s.client}, {"server", s.server}} {
			<-side.Done()
			took := time.Since(cut)
			t.Logf("%s: %v after %v", side.name, side.Err(), took)
			if !errors.Is(side.Err(), transport.ErrIdleTimeout) {
				t.Errorf("%s: %v, want ErrIdleTimeout", side.name, side.Err())
			}
			if took < 7*time.Second || took > 11*time.Second {
				t.Errorf("%s: noticed after %v", side.name, took)
			}
		}
		if late := s.server.Stats().LastHeard; late != heard {
			t.Errorf("LastHeard moved by %v after the cut", late.Sub(heard))
		}
	})
}

// TestKeepAlive: a silent session lives, and both sides see that it does.
func TestKeepAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := simulate(t, simnet.Link{Delay: 20 * time.Millisecond}, transport.SessionConfig{})
		defer s.close()
		for range 4 * 30 {
			time.Sleep(250 * time.Millisecond)
			for _, side := range []transport.Session{s.client, s.server} {
				if d := time.Since(side.Stats().LastHeard); d > 2*time.Second {
					t.Fatalf("nothing heard for %v", d)
				}
			}
		}
		if s.client.Err() != nil || s.server.Err() != nil {
			t.Errorf("ended: %v, %v", s.client.Err(), s.server.Err())
		}
	})
}

func TestPins(t *testing.T) {
	cert := newCert(t)
	sum := sha256.Sum256(cert.leaf.Raw)
	hexed := hex.EncodeToString(sum[:])
	colons := strings.ToUpper(strings.TrimSuffix(strings.Join(strings.SplitAfter(pairs(hexed), ":"), ""), ":"))
	for _, s := range []string{
		hexed, strings.ToUpper(hexed), colons, " " + hexed + "\n",
		base64.StdEncoding.EncodeToString(sum[:]), base64.RawStdEncoding.EncodeToString(sum[:]),
		base64.URLEncoding.EncodeToString(sum[:]), base64.RawURLEncoding.EncodeToString(sum[:]),
	} {
		pin, err := transport.ParsePin(s)
		if err != nil || string(pin) != string(cert.pin()) {
			t.Errorf("ParsePin(%q) = %x, %v", s, pin, err)
		}
	}
	other := strings.Repeat("ab", 32)
	if pin, err := transport.ParsePin(other + ", " + hexed); err != nil || hex.EncodeToString(pin) != other+hexed {
		t.Errorf("two pins: %x, %v", pin, err)
	}
	for _, s := range []string{"", "abc", hexed + ",", hexed + "," + hexed[:62], hexed[:62], hexed + "00", strings.Repeat("?", 44), strings.Repeat("x", 10_000)} {
		if pin, err := transport.ParsePin(s); err == nil {
			t.Errorf("ParsePin(%q) = %x", s, pin)
		} else if len(err.Error()) > 500 {
			t.Errorf("ParsePin of a long string: an error of %d bytes", len(err.Error()))
		}
	}
}

// A client that knows a server's certificate and the next one may come before
// the renewal and after it.
func TestEitherPinWillDo(t *testing.T) {
	now, next := newCert(t), newCert(t)
	both := append(bytes.Clone(now.pin()), next.pin()...)
	for _, cert := range []*testCert{now, next} {
		ln, err := transport.Listen(transport.ListenConfig{Addr: "127.0.0.1:0", TLSConfig: cert.server()})
		if err != nil {
			t.Fatal(err)
		}
		s, err := (&transport.QUICDialer{Pin: both}).Dial(t.Context(), ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		ln.Close()
	}
}

func pairs(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i += 2 {
		b.WriteString(s[i:i+2] + ":")
	}
	return b.String()
}

func FuzzParsePin(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("ab", 32))
	f.Add(strings.Repeat("ab:", 31) + "ab")
	f.Add(strings.Repeat("ab", 32) + "," + strings.Repeat("cd", 32))
	f.Add(base64.StdEncoding.EncodeToString(make([]byte, 32)))
	f.Fuzz(func(t *testing.T, s string) {
		pin, err := transport.ParsePin(s)
		if (err == nil) != (len(pin) > 0) || len(pin)%32 != 0 {
			t.Errorf("%d bytes, %v", len(pin), err)
		}
	})
}
