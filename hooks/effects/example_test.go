package effects_test

import (
	"fmt"

	"github.com/earshotrtc/earshot/hooks"
	"github.com/earshotrtc/earshot/hooks/effects"
)

// Every voice of a server that mixes goes over a radio.
func ExampleRadio() {
	plugin := hooks.Plugin{
		Name: "radio",
		Processor: func(t hooks.TrackInfo) hooks.PCMHook {
			radio, err := effects.NewRadio(effects.RadioConfig{High: 2700})
			if err != nil {
				return nil
			}
			return radio.Process
		},
	}
	hook := plugin.Processor(hooks.TrackInfo{UserID: "alice"})
	hook(make([]int16, 960))
	fmt.Println(plugin.Name, "is ready")
	// Output: radio is ready
}
