package finlink

import (
	"context"
	"iter"

	"google.golang.org/protobuf/proto"

	connectorsv1 "github.com/finlink/finlink/clients/go/finlink/connectors/v1"
	usersv1 "github.com/finlink/finlink/clients/go/finlink/users/v1"
)

const pageSize = 100 // the largest there is

// IterateUsers gives every user that passes the filters of the request, page by page. Nothing follows an error.
func (c *Client) IterateUsers(ctx context.Context, request *usersv1.ListUsersRequest) iter.Seq2[*usersv1.User, error] {
	return items(func(token string) ([]*usersv1.User, string, error) {
		ask := &usersv1.ListUsersRequest{Limit: proto.Int32(pageSize)}
		proto.Merge(ask, request)
		if token != "" {
			ask.Page, ask.PageToken = nil, &token
		}
		reply, err := c.Users.ListUsers(ctx, ask)
		return reply.GetData().GetUsers(), reply.GetData().GetPagination().GetNextPageToken(), err
	})
}

// IterateConnectors gives every connector that passes the filters of the request, page by page. Nothing follows an error.
func (c *Client) IterateConnectors(ctx context.Context, request *connectorsv1.ListConnectorsRequest) iter.Seq2[*connectorsv1.ConnectorSummary, error] {
	return items(func(token string) ([]*connectorsv1.ConnectorSummary, string, error) {
		ask := &connectorsv1.ListConnectorsRequest{Limit: proto.Int32(pageSize)}
		proto.Merge(ask, request)
		if token != "" {
			ask.PageToken = &token
		}
		reply, err := c.Connectors.ListConnectors(ctx, ask)
		return reply.GetData().GetConnectors(), reply.GetData().GetPagination().GetNextPageToken(), err
	})
}

// IterateRecords gives every record of the connector that the request names, page by page. Nothing follows an error.
func (c *Client) IterateRecords(ctx context.Context, request *connectorsv1.ListRecordsRequest) iter.Seq2[*connectorsv1.Record, error] {
	return items(func(token string) ([]*connectorsv1.Record, string, error) {
		ask := &connectorsv1.ListRecordsRequest{Limit: proto.Int32(pageSize)}
		proto.Merge(ask, request)
		if token != "" {
			ask.PageToken = &token
		}
		reply, err := c.Connectors.ListRecords(ctx, ask)
		return reply.GetData().GetRecords(), reply.GetData().GetPagination().GetNextPageToken(), err
	})
}

// items gives what all pages hold. fetch gets the page at a token, the first one at "", and the token of the next.
func items[Item any](fetch func(token string) ([]Item, string, error)) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		token := ""
		for {
			page, next, err := fetch(token)
			if err != nil {
				var none Item
				yield(none, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			token = next
		}
	}
}
