package transporttest

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

// checkEnd checks what a session says about its end.
func (e *env) checkEnd(who string, s transport.Session, code transport.ErrorCode, reason string, remote bool) {
	e.Helper()
	await(e, who+": Done", s.Done())
	var end *transport.Error
	if err := s.Err(); !errors.As(err, &end) {
		e.Errorf("%s: Err is %v, want a *transport.Error", who, err)
		return
	}
	if end.Code != code || end.Reason != reason || end.Remote != remote {
		e.Errorf("%s: Err is %+v, want code %v, reason %q, remote %v", who, *end, code, reason, remote)
	}
	if local := errors.Is(end, transport.ErrClosed); local == remote {
		e.Errorf("%s: errors.Is(Err, ErrClosed) is %v, remote is %v", who, local, remote)
	}
	if !remote && !errors.Is(end, net.ErrClosed) {
		e.Errorf("%s: Err does not unwrap to net.ErrClosed", who)
	}
}

func closeWithError(e *env) {
	client, server := e.connect()
	if client.Err() != nil || server.Err() != nil {
		e.Errorf("Err of living sessions: %v, %v", client.Err(), server.Err())
	}
	reason := "kicked " + strings.Repeat("é", 200) // 407 bytes
	want := "kicked " + strings.Repeat("é", 96)    // 199: no character is cut
	if err := client.CloseWithError(0x1234, reason); err != nil {
		e.Errorf("CloseWithError: %v", err)
	}
	e.checkEnd("closing side", client, 0x1234, want, false)
	e.checkEnd("other side", server, 0x1234, want, true)
	server.Close()
	e.checkEnd("other side, after Close", server, 0x1234, want, true)
}

func closeIdempotent(e *env) {
	client, server := e.connect()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { client.Close() })
		wg.Go(func() { server.CloseWithError(0x100, "bye") })
	}
	wg.Wait()
	for _, s := range []transport.Session{client, server} {
		await(e, "Done", s.Done())
		err := s.Err()
		s.CloseWithError(0x999, "too late")
		if s.Err() != err {
			e.Errorf("a later CloseWithError changed %v to %v", err, s.Err())
		}
	}
}

func closeByListener(e *env) {
	client, server := e.connect()
	server.CloseWithError(roq.PacketError, "")
	e.checkEnd("listener's side", server, roq.PacketError, "", false)
	e.checkEnd("dialer's side", client, roq.PacketError, "", true)
}

func closeInsideHandler(e *env) {
	for _, viaStream := range []bool{false, true} {
		client, server := e.connect()
		closed := make(chan struct{})
		server.HandleFlow(1, func([]byte, time.Time) {
			server.CloseWithError(0x101, "from the handler")
			close(closed)
		})
		if viaStream {
			st, err := client.OpenFlowStream(e.context(), 1)
			if err != nil {
				e.Fatal(err)
			}
			if err := st.WritePacket(rtp(50, 1)); err != nil {
				e.Fatal(err)
			}
		} else {
			e.send(client, transport.Packet{Flow: 1, Payload: rtp(50, 1)})
		}
		await(e, "CloseWithError inside a handler", closed)
		e.checkEnd("closing side", server, 0x101, "from the handler", false)
		e.checkEnd("other side", client, 0x101, "from the handler", true)
		server.Close() // now waits for the handler's goroutine too
		client.Close()
	}

	// Also while HandleFlow hands over what was kept.
	client, server := e.connect()
	b := e.barrier(client, server)
	for i := range uint64(3) {
		e.send(client, transport.Packet{Flow: 2, Payload: rtp(50, i)})
	}
	b.pass()
	calls := 0
	if err := server.HandleFlow(2, func([]byte, time.Time) {
		calls++
		server.Close()
	}); err != nil {
		e.Errorf("HandleFlow: %v", err)
	}
	if calls == 0 {
		e.Error("nothing was handed over")
	}
}

func afterClose(e *env) {
	client, server := e.connect()
	e.openControl(client, server)
	server.Close()
	await(e, "the dialer's side ends", client.Done())
	for name, s := range map[string]transport.Session{"closed here": server, "closed by the peer": client} {
		if err := s.Send(transport.Packet{Flow: 1, Payload: rtp(20, 1)}); !errors.Is(err, transport.ErrClosed) {
			e.Errorf("%s: Send: %v, want ErrClosed", name, err)
		}
		if err := s.HandleFlow(1, func([]byte, time.Time) {}); !errors.Is(err, transport.ErrClosed) {
			e.Errorf("%s: HandleFlow: %v, want ErrClosed", name, err)
		}
		s.RemoveFlow(1)
		if _, err := s.OpenFlowStream(e.context(), 1); !errors.Is(err, transport.ErrClosed) {
			e.Errorf("%s: OpenFlowStream: %v, want ErrClosed", name, err)
		}
		if _, err := s.Control().Write([]byte("x")); err == nil {
			e.Errorf("%s: control Write is accepted", name)
		}
		if _, err := s.Control().Read(make([]byte, 1)); err == nil || err == io.EOF {
			e.Errorf("%s: control Read: %v, want the session's error", name, err)
		}
		s.Stats()
		if s.LocalAddr() == nil || s.RemoteAddr() == nil {
			e.Errorf("%s: no addresses", name)
		}
	}
}

func listenerClose(e *env) {
	client, server := e.connect()
	accepting := make(chan error, 1)
	go func() {
		_, err := e.pair.Listener.Accept(context.Background())
		accepting <- err
	}()
	if err := e.pair.Listener.Close(); err != nil {
		e.Errorf("Close: %v", err)
	}
	if err := await(e, "Accept to return", accepting); !errors.Is(err, transport.ErrClosed) {
		e.Errorf("Accept: %v, want ErrClosed", err)
	}
	if _, err := e.pair.Listener.Accept(context.Background()); !errors.Is(err, transport.ErrClosed) {
		e.Errorf("Accept after Close: %v, want ErrClosed", err)
	}
	if server.Err() == nil {
		e.Error("an accepted session lives on")
	}
	await(e, "the dialer's side ends", client.Done())
	e.pair.Listener.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if s, err := e.pair.Dialer.Dial(ctx, e.pair.Addr); err == nil {
		s.Close()
		e.Error("Dial reaches a closed listener")
	}
}

func acceptContext(e *env) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.pair.Listener.Accept(ctx); !errors.Is(err, context.Canceled) {
		e.Errorf("Accept: %v, want context.Canceled", err)
	}
	if _, err := e.pair.Dialer.Dial(ctx, e.pair.Addr); !errors.Is(err, context.Canceled) {
		// A dialer that needs no waiting may also succeed.
		if err != nil {
			e.Errorf("Dial: %v, want context.Canceled", err)
		}
	}
	e.connect()
}

func manySessions(e *env) {
	for i := range uint64(8) {
		client, server := e.connect()
		in := e.sink(server, 1)
		e.send(client, transport.Packet{Flow: 1, Payload: rtp(50, i)})
		if n := await(e, "a packet", in.c); n != i {
			e.Errorf("session %d got packet %d", i, n)
		}
	}
}

func stats(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	before := time.Now()
	for range 20 {
		b.pass()
	}
	e.eventually("all are counted as sent", func() bool { return client.Stats().MediaSent >= 20 })
	st, sst := client.Stats(), server.Stats()
	if st.MediaSent != 20 || sst.MediaReceived != 20 {
		e.Errorf("20 packets sent: MediaSent %d, MediaReceived %d", st.MediaSent, sst.MediaReceived)
	}
	if st.PacketsSent == 0 || sst.PacketsReceived == 0 || st.BytesSent < 400 || sst.BytesReceived < 400 {
		e.Errorf("the transport's own counts are %+v and %+v", st, sst)
	}
	if sst.LastHeard.Before(before) {
		e.Errorf("LastHeard is %v before the latest packet", before.Sub(sst.LastHeard))
	}
	if client.Protocol() != "pipe" && (st.CongestionWindow == 0 || st.RTT <= 0 || st.MinRTT <= 0) {
		e.Errorf("RTT %v, least %v, congestion window %d", st.RTT, st.MinRTT, st.CongestionWindow)
	}
	if st.Dropped != [transport.NumDropReasons]uint64{} || sst.Dropped != [transport.NumDropReasons]uint64{} {
		e.Errorf("dropped %v and %v", st.Dropped, sst.Dropped)
	}
}

func identity(e *env) {
	client, server := e.connect()
	if p := client.Protocol(); p == "" || p != server.Protocol() {
		e.Errorf("protocols %q and %q", p, server.Protocol())
	}
	for _, s := range []transport.Session{client, server} {
		if s.LocalAddr() == nil || s.RemoteAddr() == nil {
			e.Fatal("a session has no addresses")
		}
	}
	if a, b := client.LocalAddr().String(), server.RemoteAddr().String(); a != b {
		e.Errorf("dialer's address is %s here and %s there", a, b)
	}
	if e.pair.Listener.Addr() == nil {
		e.Error("the listener has no address")
	}
}

func concurrentUse(e *env) {
	client, server := e.connect()
	go io.Copy(io.Discard, server.Control())
	go io.Copy(io.Discard, client.Control())
	var wg sync.WaitGroup
	for i := range uint64(4) {
		for _, s := range []transport.Session{client, server} {
			wg.Go(func() {
				for n := range uint64(200) {
					s.Send(transport.Packet{Flow: i, Class: transport.Class(n % 3), Payload: rtp(30+int(n), n), Deadline: time.Now().Add(time.Second)})
					s.Stats()
				}
			})
			wg.Go(func() {
				for range 50 {
					s.HandleFlow(i, func([]byte, time.Time) {})
					s.RemoveFlow(i + 1)
				}
			})
			wg.Go(func() {
				if st, err := s.OpenFlowStream(e.context(), i); err == nil {
					for n := range uint64(20) {
						st.WritePacket(rtp(500, n))
					}
					st.Close()
				}
			})
		}
		wg.Go(func() { client.Control().Write(make([]byte, 5000)) })
	}
	wg.Wait()
	if client.Err() != nil || server.Err() != nil {
		e.Errorf("the session ended: %v, %v", client.Err(), server.Err())
	}
}
