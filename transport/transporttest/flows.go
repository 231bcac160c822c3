package transporttest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/earshotrtc/earshot/transport"
	"github.com/earshotrtc/earshot/transport/roq"
)

func flowsBothWays(e *env) {
	client, server := e.connect()
	up, down := e.sink(server, 1), e.sink(client, 1)
	for i := range uint64(100) {
		e.send(client, transport.Packet{Flow: 1, Payload: rtp(100, i)})
		e.send(server, transport.Packet{Flow: 1, Class: 2, Payload: rtp(transport.MaxPacketSize, 1000+i)})
		if n := await(e, "a packet up", up.c); n != i {
			e.Fatalf("packet %d up, want %d", n, i)
		}
		if n := await(e, "a packet down", down.c); n != 1000+i {
			e.Fatalf("packet %d down, want %d", n, 1000+i)
		}
	}
	if !bytes.Equal(up.packet(7), rtp(100, 7)) || !bytes.Equal(down.packet(7), rtp(transport.MaxPacketSize, 1007)) {
		e.Error("other bytes arrived than were sent")
	}
}

func flowIdentifiers(e *env) {
	client, server := e.connect()
	for i, id := range []uint64{1, 62, 63, 64, 16383, 16384, 1<<30 - 1, 1 << 30, roq.MaxFlowID} {
		in := e.sink(server, id)
		e.send(client, transport.Packet{Flow: id, Payload: rtp(transport.MaxPacketSize, uint64(i))})
		if n := await(e, "a packet", in.c); n != uint64(i) {
			e.Errorf("flow %d: packet %d", id, n)
		}
	}
	rtcp := []byte{0x80, 201, 0, 1, 1, 2, 3, 4}
	got := make(chan []byte, 1)
	server.HandleFlow(5, func(p []byte, arrival time.Time) {
		if d := time.Since(arrival); d < 0 || d > patience {
			e.Errorf("arrival is %v ago", d)
		}
		got <- bytes.Clone(p)
	})
	e.send(client, transport.Packet{Flow: 5, Class: 1, Payload: rtcp})
	if p := await(e, "RTCP", got); !bytes.Equal(p, rtcp) {
		e.Errorf("RTCP arrived as %x", p)
	}
}

// bundles: a batch arrives whole and in order, in fewer datagrams if the peer
// takes bundles.
func bundles(e *env) {
	client, server := e.connect()
	const batches, size = 20, 9 // nine of 200 bytes need two datagrams
	in := [size]*sink{}
	for i := range in {
		in[i] = e.sink(client, uint64(1+i))
	}
	used := [2]uint64{}
	for k, on := range []bool{false, true} {
		server.SetBundles(on)
		before := server.Stats()
		for n := range uint64(batches) {
			batch := make([]transport.Packet, size)
			for i := range batch {
				batch[i] = transport.Packet{Flow: uint64(1 + i), Payload: rtp(200, n)}
			}
			if err := server.SendBatch(batch); err != nil {
				e.Fatal(err)
			}
			for i := range in {
				if got := await(e, "a packet of a batch", in[i].c); got != n {
					e.Fatalf("packet %d of flow %d, want %d", got, 1+i, n)
				}
			}
		}
		var after transport.Stats
		e.eventually("what was delivered is counted", func() bool {
			after = server.Stats()
			return after.MediaSent-before.MediaSent >= batches*size
		})
		used[k] = after.PacketsSent - before.PacketsSent
		if sent := after.MediaSent - before.MediaSent; sent != batches*size {
			e.Errorf("%d packets counted as sent, of %d", sent, batches*size)
		}
	}
	if used[1] > used[0]/2 {
		e.Errorf("%d datagrams with bundles, %d without", used[1], used[0])
	}
	good, bad := transport.Packet{Flow: 1, Payload: rtp(20, 7)}, transport.Packet{Flow: 1}
	if err := server.SendBatch([]transport.Packet{good, bad, good}); !errors.Is(err, transport.ErrPacketSize) {
		e.Errorf("an empty packet in a batch: %v", err)
	}
	if n := await(e, "the packet before the bad one", in[0].c); n != 7 {
		e.Errorf("packet %d before the bad one", n)
	}
}

func sendErrors(e *env) {
	client, server := e.connect()
	for _, c := range []struct {
		p    transport.Packet
		want error
	}{
		{transport.Packet{Payload: nil}, transport.ErrPacketSize},
		{transport.Packet{Payload: make([]byte, transport.MaxStreamPacketSize+1)}, transport.ErrPacketSize},
		{transport.Packet{Payload: rtp(20, 0), Class: transport.NumClasses}, transport.ErrClass},
		{transport.Packet{Payload: rtp(20, 0), Flow: roq.MaxFlowID + 1}, transport.ErrFlowID},
	} {
		if err := client.Send(c.p); !errors.Is(err, c.want) {
			e.Errorf("Send: %v, want %v", err, c.want)
		}
	}
	if err := server.HandleFlow(roq.MaxFlowID+1, func([]byte, time.Time) {}); !errors.Is(err, transport.ErrFlowID) {
		e.Errorf("HandleFlow: %v, want ErrFlowID", err)
	}
	if _, err := client.OpenFlowStream(e.context(), roq.MaxFlowID+1); !errors.Is(err, transport.ErrFlowID) {
		e.Errorf("OpenFlowStream: %v, want ErrFlowID", err)
	}
}

func sendCopies(e *env) {
	client, server := e.connect()
	in := e.sink(server, 1)
	p := rtp(200, 1)
	for i := range uint64(10) {
		copy(p, rtp(200, i))
		e.send(client, transport.Packet{Flow: 1, Payload: p})
		clear(p)
	}
	for i := range uint64(10) {
		if n := await(e, "a packet", in.c); n != i {
			e.Fatalf("packet %d, want %d", n, i)
		}
	}
	if !bytes.Equal(in.packet(3), rtp(200, 3)) {
		e.Error("Send did not copy the payload")
	}
}

func unknownFlowKept(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	for i := range uint64(10) {
		e.send(client, transport.Packet{Flow: 7, Payload: rtp(30, i)})
	}
	b.pass()
	in := e.sink(server, 7)
	if got, want := in.got(), []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}; !slices.Equal(got, want) {
		e.Errorf("handed over by HandleFlow: %v, want %v", got, want)
	}
	e.send(client, transport.Packet{Flow: 7, Payload: rtp(30, 10)})
	b.pass()
	if got := in.got(); len(got) != 11 || got[10] != 10 {
		e.Errorf("after HandleFlow: %v", got)
	}
	if n := server.Stats().Dropped[transport.DropUnknownFlow]; n != 0 {
		e.Errorf("%d packets dropped", n)
	}
}

func unknownFlowBounded(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	const n = 2000
	for i := range uint64(n) {
		e.send(client, transport.Packet{Flow: 100 + i%50, Payload: rtp(1000, i)})
		if i%10 == 9 {
			b.pass()
		}
	}
	var kept []uint64
	for flow := range uint64(50) {
		kept = append(kept, e.sink(server, 100+flow).got()...)
	}
	if len(kept) == 0 || len(kept) > 600 {
		e.Errorf("%d of %d packets of unknown flows were kept, want some and not many", len(kept), n)
	}
	if dropped := server.Stats().Dropped[transport.DropUnknownFlow]; dropped != uint64(n-len(kept)) {
		e.Errorf("%d kept, %d counted as dropped, of %d", len(kept), dropped, n)
	}
	if !slices.Contains(kept, n-1) {
		e.Error("the newest packet is not among those kept")
	}
}

func unknownFlowStream(e *env) {
	client, server := e.connect()
	st, err := client.OpenFlowStream(e.context(), 9)
	if err != nil {
		e.Fatal(err)
	}
	for i := range uint64(5) {
		if err := st.WritePacket(rtp(100, i)); err != nil {
			e.Fatal(err)
		}
	}
	if err := st.Close(); err != nil {
		e.Fatal(err)
	}
	e.barrier(client, server).pass()
	in := e.sink(server, 9)
	for i := range uint64(5) {
		if n := await(e, "a packet of a stream whose flow was announced late", in.c); n != i {
			e.Errorf("packet %d, want %d", n, i)
		}
	}
}

func removeFlow(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	in := e.sink(server, 3)
	e.send(client, transport.Packet{Flow: 3, Payload: rtp(20, 1)})
	await(e, "a packet", in.c)
	server.RemoveFlow(3)
	server.RemoveFlow(4) // never known: must not be kept either
	for i := range uint64(5) {
		e.send(client, transport.Packet{Flow: 3, Payload: rtp(20, i)})
		e.send(client, transport.Packet{Flow: 4, Payload: rtp(20, i)})
	}
	b.pass()
	if n := server.Stats().Dropped[transport.DropUnknownFlow]; n != 10 {
		e.Errorf("%d packets of removed flows counted as dropped, want 10", n)
	}
	if got := e.sink(server, 4).got(); len(got) != 0 {
		e.Errorf("packets of a removed flow were kept: %v", got)
	}
	if got := in.got(); len(got) != 1 {
		e.Errorf("the removed handler got %v", got)
	}
	again := e.sink(server, 3)
	if got := again.got(); len(got) != 0 {
		e.Errorf("packets of a removed flow were kept: %v", got)
	}
	e.send(client, transport.Packet{Flow: 3, Payload: rtp(20, 9)})
	if n := await(e, "a packet of the flow handled anew", again.c); n != 9 {
		e.Errorf("packet %d", n)
	}
}

func replaceHandler(e *env) {
	client, server := e.connect()
	b := e.barrier(client, server)
	old := e.sink(server, 3)
	e.send(client, transport.Packet{Flow: 3, Payload: rtp(20, 1)})
	b.pass()
	replaced := e.sink(server, 3)
	e.send(client, transport.Packet{Flow: 3, Payload: rtp(20, 2)})
	b.pass()
	if !slices.Equal(old.got(), []uint64{1}) || !slices.Equal(replaced.got(), []uint64{2}) {
		e.Errorf("old handler got %v, new %v", old.got(), replaced.got())
	}
}

// oneHandlerAtATime sends a flow's packets both ways that there are.
func oneHandlerAtATime(e *env) {
	client, server := e.connect()
	var inside, total atomic.Int32
	server.HandleFlow(2, func([]byte, time.Time) {
		if inside.Add(1) > 1 {
			e.Error("two handlers of one flow at once")
		}
		total.Add(1)
		inside.Add(-1)
	})
	const streams, each = 4, 50
	var wg sync.WaitGroup
	for range streams {
		wg.Go(func() {
			st, err := client.OpenFlowStream(e.context(), 2)
			if err != nil {
				e.Error(err)
				return
			}
			for i := range uint64(each) {
				if err := st.WritePacket(rtp(200, i)); err != nil {
					e.Error(err)
				}
				client.Send(transport.Packet{Flow: 2, Payload: rtp(50, i)})
			}
			st.Close()
		})
	}
	wg.Wait()
	e.eventually("all packets arrive", func() bool { return total.Load() >= streams*each })
}
