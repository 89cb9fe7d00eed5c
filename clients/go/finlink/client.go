// Package finlink is the client of Finlink, which holds users and their connections to financial platforms.
//
// [Connect] gives a [Client]. Its fields are the generated clients of the contract's services; what fails, fails with an
// [*Error].
package finlink

import (
	"cmp"
	"errors"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/protobuf/proto"

	identityv1 "github.com/finlink/finlink/clients/go/finlink/identity/v1"
)

// Version is that of this package.
const Version = "0.1.0"

const minConnectTimeout = 5 * time.Second

const local = "localhost:50051"

// Client has Finlink's services over one connection. It may be used by many goroutines at once.
type Client struct {
	Services
	// Conn is the connection itself, for services that have no client here, as gRPC's health service.
	Conn *grpc.ClientConn

	session *session
}

// Option is a setting of [Connect].
type Option func(*settings)

type settings struct {
	credentials  credentials.TransportCredentials
	calls        calls
	login        *identityv1.LoginRequest
	refreshToken string
	onSession    func(*identityv1.SessionData)
}

// WithAPIKey sends the key with every call.
func WithAPIKey(key string) Option {
	return func(s *settings) { s.calls.apiKey = key }
}

// WithAccessToken sends the token of a user who has signed in with every call, as it is.
func WithAccessToken(token string) Option {
	return func(s *settings) { s.calls.accessToken = token }
}

// WithLogin signs a user in with the first call, and again if the session has ended. Access tokens are renewed in time.
func WithLogin(login *identityv1.LoginRequest) Option {
	return func(s *settings) { s.login = proto.CloneOf(login) }
}

// WithRefreshToken continues a session that has begun. A refresh token is used once: keep the newest, see [OnSession].
func WithRefreshToken(token string) Option {
	return func(s *settings) { s.refreshToken = token }
}

// OnSession calls function with each new session or pair of tokens.
func OnSession(function func(*identityv1.SessionData)) Option {
	return func(s *settings) { s.onSession = function }
}

// WithTransportCredentials encrypts the connection, as with [credentials.NewTLS].
func WithTransportCredentials(tls credentials.TransportCredentials) Option {
	return func(s *settings) { s.credentials = tls }
}

// WithTimeout is the time of a call whose context has no deadline; 10 seconds.
func WithTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.calls.timeout = timeout }
}

// WithPlatformTimeout is the same for calls that wait for a platform, as connecting and refreshing do; 40 seconds.
func WithPlatformTimeout(timeout time.Duration) Option {
	return func(s *settings) { s.calls.platformTimeout = timeout }
}

// Connect gives a client of the Finlink at address, HOST:PORT; where that is empty FINLINK_ADDRESS, else localhost:50051. It opens the connection with its first call, and again
// whenever it is lost. Without [WithTransportCredentials] the connection is not encrypted.
func Connect(address string, options ...Option) (*Client, error) {
	if address == "" {
		address = cmp.Or(os.Getenv("FINLINK_ADDRESS"), local)
	}
	chosen := settings{
		credentials: insecure.NewCredentials(),
		calls:       calls{timeout: rules.Timeout.AsDuration(), platformTimeout: rules.PlatformTimeout.AsDuration()},
	}
	for _, option := range options {
		option(&chosen)
	}
	if chosen.login != nil || chosen.refreshToken != "" {
		if chosen.calls.accessToken != "" {
			return nil, errors.New("finlink: WithAccessToken stands alone: a session brings its own")
		}
		chosen.calls.session = newSession(&chosen)
	}
	pauses := rules.ReconnectPauses
	conn, err := grpc.NewClient(
		address,
		grpc.WithTransportCredentials(chosen.credentials),
		grpc.WithUserAgent("finlink-client-go/"+Version),
		grpc.WithDefaultServiceConfig(serviceConfig()),
		grpc.WithUnaryInterceptor(chosen.calls.unary),
		grpc.WithStreamInterceptor(chosen.calls.stream),
		// A connection that died silently is noticed, also while nothing is sent.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time: rules.PingInterval.AsDuration(), Timeout: rules.PingTimeout.AsDuration(), PermitWithoutStream: true,
		}),
		// After a restart of the server, calls go through again within seconds.
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay:  pauses.First.AsDuration(),
				Multiplier: pauses.Factor,
				Jitter:     0.2,
				MaxDelay:   pauses.Longest.AsDuration(),
			},
			MinConnectTimeout: minConnectTimeout,
		}),
	)
	if err != nil {
		return nil, err
	}
	client := &Client{Services: servicesOf(conn), Conn: conn, session: chosen.calls.session}
	if client.session != nil {
		client.session.auth = client.Auth
	}
	return client, nil
}

// Close closes the connection. Calls under way, and later ones, fail with [CodeCancelled].
func (c *Client) Close() error {
	return c.Conn.Close()
}
