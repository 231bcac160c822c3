package transporttest

import (
	"bytes"
	"errors"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

func largePackets(e *env) {
	client, server := e.connect()
	in := e.sink(server, 1)
	for i, size := range []int{transport.MaxPacketSize + 1, 2000, 20_000, transport.MaxStreamPacketSize} {
		for class := range transport.Class(transport.NumClasses) {
			e.send(client, transport.Packet{Flow: 1, Class: class, Payload: rtp(size, uint64(i))})
			if n := await(e, "a large packet", in.c); n != uint64(i) {
				e.Errorf("packet %d, want %d", n, i)
			}
			if got := in.packet(-1); !bytes.Equal(got, rtp(size, uint64(i))) {
				e.Errorf("%d bytes arrived other than they were sent", size)
			}
		}
	}
	e.eventually("all are counted as sent", func() bool { return client.Stats().MediaSent == 12 })
	if st := client.Stats(); st.Dropped != [transport.NumDropReasons]uint64{} {
		e.Errorf("dropped %v", st.Dropped)
	}
}

func flowStream(e *env) {
	client, server := e.connect()
	in := e.sink(server, 5)
	st, err := client.OpenFlowStream(e.context(), 5)
	if err != nil {
		e.Fatal(err)
	}
	if err := st.WritePacket(nil); !errors.Is(err, transport.ErrPacketSize) {
		e.Errorf("empty packet: %v, want ErrPacketSize", err)
	}
	if err := st.WritePacket(make([]byte, transport.MaxStreamPacketSize+1)); !errors.Is(err, transport.ErrPacketSize) {
		e.Errorf("packet too large: %v, want ErrPacketSize", err)
	}
	const n = 200
	for i := range uint64(n) {
		if err := st.WritePacket(rtp(20+int(i)*7, i)); err != nil {
			e.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		e.Fatal(err)
	}
	for i := range uint64(n) {
		if got := await(e, "a packet of the stream", in.c); got != i {
			e.Fatalf("packet %d, want %d", got, i)
		}
		if !bytes.Equal(in.packet(int(i)), rtp(20+int(i)*7, i)) {
			e.Fatalf("packet %d has other bytes", i)
		}
	}
	if got := client.Stats().MediaSent; got != n {
		e.Errorf("MediaSent is %d, want %d", got, n)
	}
	if got := server.Stats().MediaReceived; got != n {
		e.Errorf("MediaReceived is %d, want %d", got, n)
	}
}

func flowStreamCancel(e *env) {
	client, server := e.connect()
	in := e.sink(server, 5)
	st, err := client.OpenFlowStream(e.context(), 5)
	if err != nil {
		e.Fatal(err)
	}
	if err := st.WritePacket(rtp(100, 1)); err != nil {
		e.Fatal(err)
	}
	st.Cancel()
	st.Cancel()
	if err := st.WritePacket(rtp(100, 2)); err == nil {
		e.Error("WritePacket after Cancel is accepted")
	}
	// Cancelled streams do not count against what the peer grants.
	for range 200 {
		st, err := client.OpenFlowStream(e.context(), 5)
		if err != nil {
			e.Fatalf("OpenFlowStream after many were cancelled: %v", err)
		}
		st.WritePacket(rtp(100, 3))
		st.Cancel()
	}
	e.send(client, transport.Packet{Flow: 5, Payload: rtp(20, 99)})
	for await(e, "a datagram after cancelled streams", in.c) != 99 {
	}
	if client.Err() != nil || server.Err() != nil {
		e.Errorf("the session ended: %v, %v", client.Err(), server.Err())
	}
}

func flowStreamRemoved(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	server.RemoveFlow(5)
	st, err := client.OpenFlowStream(e.context(), 5)
	if err != nil {
		e.Fatal(err)
	}
	var last error
	e.eventually("the peer stops a stream of a flow it does not know", func() bool {
		last = st.WritePacket(rtp(1000, 1))
		return last != nil
	})
	var stopped *transport.StreamError
	if !errors.As(last, &stopped) || stopped.Code != roq.UnknownFlowID || !stopped.Remote {
		e.Errorf("WritePacket: %v, want a remote StreamError with UnknownFlowID", last)
	}
	st.Cancel()
	b.pass()
	if n := server.Stats().Dropped[transport.DropUnknownFlow]; n == 0 {
		e.Error("nothing is counted as dropped")
	}
}
