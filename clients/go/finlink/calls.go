package finlink

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	apiKeyHeader         = "x-api-key"
	idempotencyKeyHeader = "idempotency-key"
	requestIDHeader      = "x-request-id"
)

// WithIdempotencyKey gives the change that is called with the context a key of its own: called again with the same key
// within 24 hours, it has no second effect and gets the first reply.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, idempotencyKeyHeader, key)
}

// calls gives each call its deadline and keys, and its failure as an [*Error].
type calls struct {
	apiKey, accessToken      string
	session                  *session
	timeout, platformTimeout time.Duration
}

func (c *calls) unary(
	ctx context.Context, path string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	if _, given := ctx.Deadline(); !given {
		timeout := c.timeout
		if method := methods[path]; method != nil && waitsForPlatform(method) {
			timeout = c.platformTimeout
		}
		limited, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		ctx = limited
	}
	var trailer metadata.MD
	options = append(options, grpc.Trailer(&trailer))
	return c.session.call(c.complete(ctx, path), path, func(ctx context.Context) error {
		return fromStatus(invoke(ctx, path, request, reply, conn, options...), trailer)
	})
}

func (c *calls) stream(
	ctx context.Context, described *grpc.StreamDesc, conn *grpc.ClientConn, path string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx = c.complete(ctx, path)
	token := ""
	if c.session != nil && !isAuthorized(ctx) && methods[path] != nil {
		limited, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		var err error
		if token, err = c.session.token(limited); err != nil {
			return nil, err
		}
	}
	stream, err := open(authorized(ctx, token), described, conn, path, options...)
	if err != nil {
		return nil, fromStatus(err, nil)
	}
	return reported{stream, c.session, token}, nil
}

// complete adds what the caller did not give: the API key or access token, and a change's idempotency key. gRPC sends the same with each
// attempt, so a change that is tried again has one effect.
func (c *calls) complete(ctx context.Context, path string) context.Context {
	given, _ := metadata.FromOutgoingContext(ctx)
	if c.apiKey != "" && len(given.Get(apiKeyHeader)) == 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, apiKeyHeader, c.apiKey)
	}
	ctx = authorized(ctx, c.accessToken)
	if method := methods[path]; method != nil && !isRead(method) && len(given.Get(idempotencyKeyHeader)) == 0 {
		ctx = WithIdempotencyKey(ctx, rand.Text())
	}
	return ctx
}

// reported is a stream whose failure is an [*Error]. A stream whose server is killed is cut off: an INTERNAL that no server sent.
type reported struct {
	grpc.ClientStream
	session *session
	token   string
}

func (t reported) RecvMsg(message any) error {
	err := t.ClientStream.RecvMsg(message)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	if said := status.Convert(err); said.Code() == codes.Internal && len(said.Proto().GetDetails()) == 0 {
		err = status.Error(codes.Unavailable, "The stream broke off")
	}
	err = fromStatus(err, t.Trailer())
	if t.session.helps(err) {
		t.session.expire(t.token)
	}
	return err
}
