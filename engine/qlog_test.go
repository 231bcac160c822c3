package engine_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/earshotrtc/earshot/engine"
	"github.com/earshotrtc/earshot/transport"
)

// badQLog is a writer of the host's that panics or fails.
type badQLog struct{ panics bool }

func (b badQLog) Write(p []byte) (int, error) {
	if b.panics {
		panic("oh")
	}
	return 0, errors.New("the disk is full")
}

func (b badQLog) Close() error { return nil }

// The connections that the host chooses are written down, whole and well-formed,
// and no other; writers that fail disturb nobody.
func TestQLogOfAChosenSession(t *testing.T) {
	sockets := make(map[string]string) // by the address that a user comes from
	clients := make(map[string]net.PacketConn)
	for _, user := range []string{"alice", "bob", "carol", "dave"} {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		must(t, err)
		clients[user], sockets[conn.LocalAddr().String()] = conn, user
	}
	dir := t.TempDir()
	var mu sync.Mutex
	asked := make(map[string]int)
	srv := serve(t, func(c *engine.ServerConfig) {
		c.InProcess, c.Addr = false, "127.0.0.1:0"
		c.QLog = func(remote net.Addr) io.WriteCloser {
			mu.Lock()
			defer mu.Unlock()
			user := sockets[remote.String()]
			asked[user]++
			switch user {
			case "alice":
				f, err := os.Create(filepath.Join(dir, user+".sqlog"))
				if err != nil {
					t.Error(err)
				}
				return f
			case "carol":
				return badQLog{panics: true}
			case "dave":
				panic("no writer")
			}
			return nil
		}
	})
	pin := srv.Pins()[0]
	for user, conn := range clients {
		c, _ := dial(t, srv, user, func(c *engine.ClientConfig) {
			c.Dialer, c.Addr, c.Pin = &transport.QUICDialer{Pin: pin[:], Conn: func() (net.PacketConn, error) { return conn, nil }}, srv.Addr().String(), hex.EncodeToString(pin[:])
		})
		must(t, c.Destroy())
	}
	srv.Close()
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) != 1 || len(asked) != 4 {
		t.Fatalf("%d files, asked of %v", len(files), asked)
	}
	b, err := os.ReadFile(filepath.Join(dir, "alice.sqlog"))
	must(t, err)
	names := make(map[string]int)
	records := bytes.Split(b, []byte{0x1e}) // RFC 7464
	for i, text := range records[1:] {
		var r struct {
			FileSchema string `json:"file_schema"`
			Name       string `json:"name"`
			Trace      struct {
				VantagePoint struct{ Type string } `json:"vantage_point"`
			}
			Data json.RawMessage
		}
		if err := json.Unmarshal(text, &r); err != nil {
			t.Fatalf("record %d is no JSON: %v", i, err)
		}
		if i == 0 && (r.FileSchema == "" || r.Trace.VantagePoint.Type != "server") {
			t.Errorf("the header is %s", text)
		}
		names[r.Name]++
	}
	for _, name := range []string{"transport:packet_received", "transport:packet_sent", "transport:connection_closed"} {
		if names[name] == 0 {
			t.Errorf("no %s among %v", name, names)
		}
	}
}
