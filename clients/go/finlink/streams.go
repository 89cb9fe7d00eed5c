package finlink

import (
	"context"
	"errors"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	exportsv1 "github.com/finlink/finlink/clients/go/finlink/exports/v1"
)

// WatchConnectors gives every event of a watch, for as long as it is listened to; see WatchConnectors in the contract.
//
// Where the stream breaks off it is taken up again after the last event, so none is missed and none comes twice; another
// "ready" shows this. Keep ResumeToken of the last event to continue after a restart. [CodeResumeTokenExpired] means that
// this was too long ago: list, then watch again. Nothing follows an error.
func (c *Client) WatchConnectors(ctx context.Context, request *connectorsv1.WatchConnectorsRequest) iter.Seq2[*connectorsv1.WatchConnectorsResponse, error] {
	return func(yield func(*connectorsv1.WatchConnectorsResponse, error) bool) {
		place := &connectorsv1.WatchConnectorsRequest{}
		proto.Merge(place, request)
		begun, renewed, failures := false, false, 0
		for {
			watch := listen(ctx, func(ctx context.Context) (grpc.ServerStreamingClient[connectorsv1.WatchConnectorsResponse], error) {
				return c.Connectors.WatchConnectors(ctx, place)
			})
			var broken error
			for event, err := range watch {
				if err != nil {
					broken = err
					break
				}
				place.ResumeToken = proto.String(event.GetResumeToken())
				begun, renewed, failures = true, false, 0
				if !yield(event, nil) {
					return
				}
			}
			if broken == nil {
				return
			}
			if c.session.helps(broken) && !renewed {
				renewed = true
				continue
			}
			// One that has begun is taken up for as long as it takes; one that has not may have nobody at its address.
			if CodeOf(broken) != CodeUnavailable || !begun {
				yield(nil, broken)
				return
			}
			failures++
			if err := pause(ctx, failures); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// ExportUser returns everything that Finlink keeps of a user, item by item; see ExportUser in the contract.
//
// It is complete once the item Completed has come. If it breaks off, it ends with an error and must be begun again.
func (c *Client) ExportUser(ctx context.Context, request *exportsv1.ExportUserRequest) iter.Seq2[*exportsv1.ExportUserResponse, error] {
	export := listen(ctx, func(ctx context.Context) (grpc.ServerStreamingClient[exportsv1.ExportUserResponse], error) {
		return c.Export.ExportUser(ctx, request)
	})
	return func(yield func(*exportsv1.ExportUserResponse, error) bool) {
		for begun, renewed := false, false; ; renewed = true {
			again := false
			for item, err := range export {
				if again = c.session.helps(err) && !begun && !renewed; again {
					break // only its token had expired
				}
				if begun = true; !yield(item, err) {
					return
				}
			}
			if !again {
				return
			}
		}
	}
}

// listen gives all that one stream brings. A caller who stops listening ends it.
func listen[Message any](ctx context.Context, call func(context.Context) (grpc.ServerStreamingClient[Message], error)) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		ctx, leave := context.WithCancel(ctx)
		defer leave()
		stream, err := call(ctx)
		for err == nil {
			var message *Message
			if message, err = stream.Recv(); err == nil && !yield(message, nil) {
				return
			}
		}
		if !errors.Is(err, io.EOF) {
			yield(nil, err)
		}
	}
}

// pause waits before a watch goes on that has failed so often in a row.
func pause(ctx context.Context, failures int) error {
	wait := pauseAfter(failures, rules.WatchPauses)
	wait -= time.Duration(rand.Float64() / 2 * float64(wait))
	select {
	case <-time.After(wait):
		return nil
	case <-ctx.Done():
		return fromContext(ctx.Err())
	}
}
