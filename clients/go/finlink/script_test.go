package finlink

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
)

// script is a scripted gRPC server: calls get its replies, in order, and an empty message after them.
type script struct {
	address  string
	server   *grpc.Server
	hanging  chan struct{}
	mutex    sync.Mutex
	replies  []reply
	received []received
}

// reply is what a call gets: all its messages, then its error; with hang, nothing any more.
type reply struct {
	messages []proto.Message
	err      error
	hang     bool
}

type received struct {
	path    string
	headers metadata.MD
	timeout time.Duration // 0 where it has none
	request []byte
}

var down = reply{err: status.Error(codes.Unavailable, "no healthy upstream")}

// serving gives a scripted server, and a client of it.
func serving(t *testing.T, options ...Option) (*script, *Client) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &script{address: listener.Addr().String(), hanging: make(chan struct{}, 1)}
	s.server = grpc.NewServer(grpc.UnknownServiceHandler(s.serve))
	go s.server.Serve(listener)
	t.Cleanup(s.server.Stop)
	return s, connected(t, s.address, options...)
}

func (s *script) serve(_ any, stream grpc.ServerStream) error {
	reply, err := s.next(stream)
	if err != nil {
		return err
	}
	if reply.messages == nil && reply.err == nil && !reply.hang {
		return stream.SendMsg(&emptypb.Empty{})
	}
	for _, message := range reply.messages {
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
	if reply.hang {
		s.hanging <- struct{}{}
		<-stream.Context().Done()
	}
	return reply.err
}

// next notes a call and takes its reply.
func (s *script) next(stream grpc.ServerStream) (reply, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	request := &emptypb.Empty{} // all fields are kept, as unknown ones
	if err := stream.RecvMsg(request); err != nil {
		return reply{}, err
	}
	call := received{request: request.ProtoReflect().GetUnknown()}
	call.path, _ = grpc.MethodFromServerStream(stream)
	call.headers, _ = metadata.FromIncomingContext(stream.Context())
	if deadline, has := stream.Context().Deadline(); has {
		call.timeout = time.Until(deadline)
	}
	s.received = append(s.received, call)
	if len(s.replies) == 0 {
		return reply{}, nil
	}
	taken := s.replies[0]
	s.replies = s.replies[1:]
	return taken, nil
}

// headers gives one header of every call that came; "" where it had none.
func (s *script) headers(name string) []string {
	return each(s.received, func(call received) string {
		if values := call.headers.Get(name); len(values) > 0 {
			return values[0]
		}
		return ""
	})
}

// asked gives the requests that came.
func asked[Request proto.Message](t *testing.T, s *script, empty Request) []Request {
	t.Helper()
	return each(s.received, func(call received) Request {
		request := proto.CloneOf(empty)
		if err := proto.Unmarshal(call.request, request); err != nil {
			t.Fatal(err)
		}
		return request
	})
}

// failure is an error with everything that one can carry.
func failure(t *testing.T, reason string, code codes.Code, domain string) reply {
	t.Helper()
	details := []protoadapt.MessageV1{
		&errdetails.ErrorInfo{Reason: reason, Domain: domain, Metadata: map[string]string{"loginUrl": "https://login.example"}},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "preferences.currency", Description: "is odd"},
		}},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(7500 * time.Millisecond)},
	}
	reported, err := status.New(code, "Told").WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return reply{err: reported.Err()}
}

// hangs waits for a call to hang.
func (s *script) hangs(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-s.hanging:
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}
