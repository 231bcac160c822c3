package callmessage_test

import (
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/earshotrtc/earshot/engine/callmessage"
)

var updateVectors = flag.Bool("update-vectors", false, "write what Go says into the vectors")

// vector is a message and what Go and the browser client both say of it.
type vector struct {
	Name   string `json:"name"`
	Data   string `json:"data"`
	Viewer string `json:"viewer"`
	Sender string `json:"sender"`
	// IsCalling is the rule's answer, Kind what Parse makes of it ("" is an
	// error), En and Zh are the texts.
	IsCalling bool   `json:"isCalling"`
	Kind      string `json:"kind"`
	En        string `json:"en"`
	Zh        string `json:"zh"`
}

// The browser client reads and words messages as this package does: its own
// test goes by the same file.
func TestVectors(t *testing.T) {
	const file = "../../hooks/webview/client/test/callmessage.json"
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(raw, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) < 50 {
		t.Fatalf("only %d vectors", len(vectors))
	}
	for i, v := range vectors {
		got := v
		viewer := callmessage.Viewer{UserID: v.Viewer, Sender: v.Sender}
		got.IsCalling = callmessage.IsCallingData(v.Data)
		got.Kind = ""
		if m, err := callmessage.Parse(v.Data); err == nil {
			got.Kind = m.Kind.String()
		}
		got.En = callmessage.TextOf(v.Data, callmessage.English, viewer)
		got.Zh = callmessage.TextOf(v.Data, callmessage.Chinese, viewer)
		if got != v && !*updateVectors {
			t.Errorf("%s:\n got %+v\nwant %+v", v.Name, got, v)
		}
		vectors[i] = got
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
