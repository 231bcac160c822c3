package callmessage_test

import (
	"fmt"
	"time"

	"github.com/earshotrtc/earshot/engine/callmessage"
	"github.com/earshotrtc/earshot/hooks"
)

func Example() {
	data, err := callmessage.Build(callmessage.Message{
		Kind: callmessage.Hangup, CallID: "c1", Caller: "alice", Inviter: "bob",
		Media: hooks.MediaAudio, RoomID: 7, Duration: 83 * time.Second,
	})
	if err != nil {
		panic(err)
	}
	fmt.Println(callmessage.IsCallingData(data))

	m, err := callmessage.Parse(data)
	if err != nil {
		panic(err)
	}
	alice := callmessage.Viewer{UserID: "alice"}
	fmt.Println(m.Kind, m.Hidden(alice))
	fmt.Println(m.Text(callmessage.Chinese, alice))
	fmt.Println(m.Text(callmessage.English, alice))
	// Output:
	// true
	// hangup false
	// 通话时长：01:23
	// Call duration: 01:23
}
