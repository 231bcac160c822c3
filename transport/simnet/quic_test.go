package simnet

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"math/big"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quic-go/quic-go"
)

func tlsConfig(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		NextProtos:   []string{"test"}, InsecureSkipVerify: true,
	}
}

// A QUIC handshake and ten seconds of voice, 50 packets a second, take some
// milliseconds when the clock is the bubble's.
func TestQUICInVirtualTime(t *testing.T) {
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		n, a, b := two(t, Link{Delay: 25 * ms, Jitter: 10 * ms})
		n.SetLink(a, b, Link{Delay: 25 * ms, Jitter: 10 * ms, Loss: 0.05})
		conf := &quic.Config{EnableDatagrams: true}
		server, client := &quic.Transport{Conn: b}, &quic.Transport{Conn: a}
		ln, err := server.Listen(tlsConfig(t), conf)
		if err != nil {
			t.Fatal(err)
		}
		ctx := context.Background()
		start := time.Now()
		conn, err := client.Dial(ctx, b.LocalAddr(), tlsConfig(t), conf)
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took < 50*ms {
			t.Errorf("the handshake took %v, less than a round trip", took)
		}
		peer, err := ln.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		const packets = 500
		received := make(chan int)
		go func() {
			got := 0
			for {
				p, err := peer.ReceiveDatagram(ctx)
				if err != nil {
					received <- got
					return
				}
				if late := time.Since(start) - time.Duration(binary.BigEndian.Uint64(p)); late < 25*ms || late > 40*ms {
					t.Errorf("a packet took %v, want 25 to 35 ms", late)
				}
				got++
			}
		}()
		for range packets {
			p := binary.BigEndian.AppendUint64(nil, uint64(time.Since(start)))
			if err := conn.SendDatagram(append(p, make([]byte, 92)...)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * ms)
		}
		time.Sleep(100 * ms)
		peer.CloseWithError(0, "")
		got := <-received
		if lost := float64(packets-got) / packets; lost < 0.02 || lost > 0.09 {
			t.Errorf("%d of %d packets came, want 5 %% lost", got, packets)
		}
		s := n.Stats(a, b)
		t.Logf("%d of %d packets in %v; %d lost, RTT %v", got, packets, time.Since(start), s.Dropped[DropLoss], conn.ConnectionStats().SmoothedRTT)
		conn.CloseWithError(0, "")
		ln.Close()
		server.Close()
		client.Close()
	})
	t.Logf("it took %v", time.Since(real))
}

// A NAT that forgets a mapping does not end a QUIC connection.
func TestQUICSurvivesRebind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, a, b := two(t, Link{Delay: 10 * ms})
		conf := &quic.Config{EnableDatagrams: true}
		server, client := &quic.Transport{Conn: b}, &quic.Transport{Conn: a}
		ln, err := server.Listen(tlsConfig(t), conf)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		conn, err := client.Dial(ctx, b.LocalAddr(), tlsConfig(t), conf)
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ln.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		at, err := a.Rebind("192.0.2.1:9")
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second answer finds the path validated
			conn.SendDatagram([]byte("still here"))
			if _, err := peer.ReceiveDatagram(ctx); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * ms)
		}
		if peer.RemoteAddr().String() != at.String() {
			t.Errorf("the server sees %v, want %v", peer.RemoteAddr(), at)
		}
		peer.SendDatagram([]byte("so am I"))
		if _, err := conn.ReceiveDatagram(ctx); err != nil {
			t.Fatal(err)
		}
		conn.CloseWithError(0, "")
		ln.Close()
		server.Close()
		client.Close()
	})
}
