package engine

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"os"
	"testing"

	"github.com/pion/rtp"
)

var updateVectors = flag.Bool("update-vectors", false, "write what Go says into the vectors")

// The browser client makes of packets what this client does: its own test goes
// by the same file.
func TestSpaceVectors(t *testing.T) {
	const file = "../hooks/webview/client/test/media/space.json"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name      string  `json:"name"`
		Packet    string  `json:"packet"`    // in hexadecimal
		Extension uint8   `json:"extension"` // as announced
		Left      float64 `json:"left"`      // gains
		Right     float64 `json:"right"`
	}
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 40 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for i := range vectors {
		v := &vectors[i]
		packet, err := hex.DecodeString(v.Packet)
		if err != nil {
			t.Fatal(err)
		}
		var h rtp.Header
		if _, err := h.Unmarshal(packet); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		s := space{ext: v.Extension}
		s.note(&h)
		l, r := s.gains()
		left, right := float64(l), float64(r)
		if *updateVectors {
			v.Left, v.Right = math.Round(left*1e6)/1e6, math.Round(right*1e6)/1e6
		} else if math.Abs(left-v.Left) > 1e-6 || math.Abs(right-v.Right) > 1e-6 {
			t.Errorf("%s: %v and %v, want %v and %v", v.Name, left, right, v.Left, v.Right)
		}
	}
	if *updateVectors {
		out, err := json.MarshalIndent(vectors, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, append(out, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
