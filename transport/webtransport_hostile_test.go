package transport

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/earshotrtc/earshot/transport/roq"
	"github.com/earshotrtc/earshot/transport/simnet"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"
)

// rawH3 opens a connection that has negotiated HTTP/3 and done nothing else.
func (w *wtWorld) rawH3() *quic.Conn {
	w.t.Helper()
	c, err := w.net.Endpoint("")
	if err != nil {
		w.t.Fatal(err)
	}
	tlsConfig, err := clientTLS(nil, w.pin(), "10.0.0.1", []string{alpnH3})
	if err != nil {
		w.t.Fatal(err)
	}
	tr := &quic.Transport{Conn: c}
	conn, err := tr.Dial(context.Background(), w.server.LocalAddr(), tlsConfig, quicConfig(SessionConfig{KeepAlive: time.Second, IdleTimeout: 30 * time.Second}))
	if err != nil {
		w.t.Fatal(err)
	}
	context.AfterFunc(conn.Context(), func() { tr.Close() })
	return conn
}

// rawClient is a WebTransport client that does what the test says.
func (w *wtWorld) rawClient() (*quic.Conn, *webtransport.ClientConn) {
	w.t.Helper()
	conn := w.rawH3()
	t := webtransport.Transport{ApplicationProtocols: []string{WebTransportProtocol}}
	client, err := t.NewClientConn(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn, client
}

// wellServed asserts that an honest client is not harmed.
func (w *wtWorld) wellServed() {
	w.t.Helper()
	client, server := w.dial(w.dialer(), wtURL)
	talk(w.t, client, server, "still there?")
	talk(w.t, server, client, "of course")
	exchange(w.t, client, server, 1, 100)
	client.Close()
	<-server.Done()
	server.Close()
}

func TestHostileNoConnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
		defer w.close()
		start := time.Now()
		conn := w.rawH3()
		w.wellServed()
		<-conn.Context().Done()
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("closed after %v, want 5 s", took)
		}
		if !strings.Contains(w.log.String(), "no WebTransport session within 5 s") {
			t.Errorf("the log says %q", w.log)
		}
	})
}

func TestHostileConnectThenNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
		defer w.close()
		conn, client := w.rawClient()
		if _, _, err := client.Dial(context.Background(), wtURL, nil); err != nil {
			t.Fatal(err)
		}
		server, err := w.ln.Accept(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error, 1)
		go func() {
			_, err := server.Control().Read(make([]byte, 1))
			read <- err
		}()
		server.Control().SetWriteDeadline(time.Now().Add(time.Second))
		if _, err := server.Control().Write([]byte("hello?")); err == nil {
			t.Error("a control stream that does not exist takes bytes")
		}
		w.wellServed()
		server.CloseWithError(0x101, "not signed in")
		if err := <-read; !errors.Is(err, ErrClosed) {
			t.Errorf("Read: %v", err)
		}
		conn.CloseWithError(0, "")
	})
}

func TestHostileRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
		defer w.close()
		conn, client := w.rawClient()
		for path, want := range map[string]int{"/": 404, "/earshot/": 404, "/earshot/../etc": 404, "/earshot": 400} {
			rsp, err := client.RoundTrip(&http.Request{Method: http.MethodGet, Host: "10.0.0.1:4433",
				URL: &url.URL{Scheme: "https", Host: "10.0.0.1:4433", Path: path}})
			if err != nil || rsp.StatusCode != want && rsp.StatusCode/100 != 3 {
				t.Errorf("GET %s: %v, %v; want %d", path, rsp, err, want)
			}
			if err == nil {
				rsp.Body.Close()
			}
		}
		first, _, err := func() (*webtransport.Session, *http.Response, error) {
			rsp, s, err := client.Dial(context.Background(), wtURL, nil)
			return s, rsp, err
		}()
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := client.Dial(context.Background(), wtURL, nil); err == nil {
			t.Error("one connection opened two sessions")
		}
		if first.Context().Err() != nil {
			t.Error("the second request ended the first session")
		}
		w.ln.Accept(context.Background())
		// A page of tomorrow that speaks only another protocol.
		conn2, client2 := w.rawClient()
		_, s, err := client2.Dial(context.Background(), wtURL, http.Header{"Wt-Available-Protocols": {`"earshot-99"`}})
		if err != nil {
			t.Fatal(err)
		}
		var closed *webtransport.SessionError
		if _, err := s.AcceptStream(context.Background()); !errors.As(err, &closed) || closed.ErrorCode != 7 || !strings.Contains(closed.Message, "earshot-1") {
			t.Errorf("without a protocol in common: %v", err)
		}
		w.wellServed()
		conn.CloseWithError(0, "")
		conn2.CloseWithError(0, "")
	})
}

// Inside a session: each piece of garbage ends it with the code that the RoQ
// draft gives, or is counted.
func TestHostileInsideSession(t *testing.T) {
	uni := func(s *webtransport.Session, b string) {
		st, err := s.OpenUniStream()
		if err == nil {
			io.WriteString(st, b)
			st.Close()
		}
	}
	for _, c := range []struct {
		name string
		do   func(*webtransport.Session)
		code roq.ErrorCode
	}{
		{"stream cut short", func(s *webtransport.Session) { uni(s, "\x01\x40") }, roq.PacketError},
		{"length zero", func(s *webtransport.Session) { uni(s, "\x01\x00") }, roq.PacketError},
		{"length of 2^62-1", func(s *webtransport.Session) { uni(s, "\x01\xff\xff\xff\xff\xff\xff\xff\xff") }, roq.PacketError},
		{"two control streams", func(s *webtransport.Session) {
			for range 2 {
				st, err := s.OpenStream()
				if err == nil {
					io.WriteString(st, "x")
				}
			}
		}, roq.StreamCreation},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
			defer w.close()
			conn, client := w.rawClient()
			_, s, err := client.Dial(context.Background(), wtURL, nil)
			if err != nil {
				t.Fatal(err)
			}
			server, err := w.ln.Accept(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			server.HandleFlow(1, func([]byte, time.Time) {})
			// Datagrams that are not RoQ only count.
			for _, d := range []string{"", "\x40", "\x01", "\x01not RTP", "\xff\xff"} {
				s.SendDatagram([]byte(d))
			}
			time.Sleep(50 * time.Millisecond)
			if n := server.Stats().Dropped[DropMalformed]; n != 5 {
				t.Errorf("%s: %d malformed datagrams counted, want 5", c.name, n)
			}
			c.do(s)
			<-server.Done()
			var own *Error
			if !errors.As(server.Err(), &own) || own.Code != c.code || own.Remote {
				t.Errorf("%s: the server ends with %v, want %v", c.name, server.Err(), c.code)
			}
			var seen *webtransport.SessionError
			<-s.Context().Done()
			if _, err := s.AcceptStream(context.Background()); !errors.As(err, &seen) || roq.ErrorCode(seen.ErrorCode) != c.code {
				t.Errorf("%s: the client sees %v, want %v", c.name, err, c.code)
			}
			conn.CloseWithError(0, "")
			w.wellServed()
		})
	}
}

// Below the session: bytes that are no HTTP/3, on every kind of stream.
func TestHostileStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
		defer w.close()
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 60 {
			conn := w.rawH3()
			garbage := make([]byte, 1+rng.IntN(200))
			for j := range garbage {
				garbage[j] = byte(rng.Uint32())
			}
			switch i % 6 {
			case 1: // a WebTransport stream of a session that never comes
				garbage = append([]byte{0x40, 0x54, 0x00}, garbage...)
			case 2: // and of one that cannot be
				garbage = append([]byte{0x40, 0x54, 0x03}, garbage...)
			case 3: // an HTTP/3 control stream
				garbage[0] = 0
			case 4: // a WebTransport bidirectional stream
				garbage = append([]byte{0x40, 0x41, 0x00}, garbage...)
			case 5: // a request: a HEADERS frame
				garbage[0] = 1
			}
			for range 3 {
				if st, err := conn.OpenUniStream(); err == nil && i%6 < 4 {
					st.Write(garbage)
					if i%2 == 0 {
						st.Close()
					}
				}
				if st, err := conn.OpenStream(); err == nil && i%6 >= 3 {
					st.Write(garbage)
				}
				conn.SendDatagram(garbage)
			}
			if i%10 == 0 {
				w.wellServed()
			}
		}
		w.wellServed()
		time.Sleep(h3SetupTime + 10*time.Second)
		if n := w.ln.conns.Load(); n > 1 { // the honest one's may linger
			t.Errorf("%d connections are left", n)
		}
	})
}

// A peer may end the session's own stream in ways that no page can, and must
// not hold up Close with it.
func TestSessionStreamEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(*http3.RequestStream)
		code roq.ErrorCode
	}{
		{"stops reading", func(s *http3.RequestStream) { s.CancelRead(0x10c) }, roq.GeneralError},
		{"resets", func(s *http3.RequestStream) { s.CancelWrite(0x10c) }, roq.GeneralError},
		{"sends a broken capsule", func(s *http3.RequestStream) { io.WriteString(s, "\x68\x43\x01x") }, roq.GeneralError},
		{"ends in order", func(s *http3.RequestStream) { s.Close() }, roq.NoError}, // as a capsule with code 0
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWTWorld(t, simnet.Link{Delay: 5 * time.Millisecond})
			defer w.close()
			conn := w.rawH3()
			settings := map[uint64]uint64{0x2c7cf000: 1} // SETTINGS_WT_ENABLED
			h3 := (&http3.Transport{EnableDatagrams: true, AdditionalSettings: settings}).NewClientConn(conn)
			str, err := h3.OpenRequestStream(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			u, _ := url.Parse(wtURL)
			if err := str.SendRequestHeader(&http.Request{Method: http.MethodConnect, Proto: "webtransport-h3", Host: u.Host, URL: u, Header: http.Header{}}); err != nil {
				t.Fatal(err)
			}
			if rsp, err := str.ReadResponse(); err != nil || rsp.StatusCode != 200 {
				t.Fatal(rsp, err)
			}
			server, err := w.ln.Accept(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			c.do(str)
			time.Sleep(50 * time.Millisecond)
			server.Send(Packet{Flow: 1, Payload: rtpPacket(100, 1)})
			<-server.Done()
			var e *Error
			if !errors.As(server.Err(), &e) || !e.Remote || e.Code != c.code {
				t.Errorf("%s: the session ends with %v", c.name, server.Err())
			}
			start := time.Now()
			server.Close()
			if took := time.Since(start); took > lingerMost+100*time.Millisecond {
				t.Errorf("%s: Close took %v", c.name, took)
			}
			w.wellServed()
			conn.CloseWithError(0, "")
		})
	}
}
