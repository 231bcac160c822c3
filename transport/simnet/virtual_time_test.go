package simnet_test

import "testing"

func TestExampleOfVirtualTime(t *testing.T) { testPlayerOnATrain(t) }
