package finlink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const domain = "finlink"

// Code says why a call failed: a word of the contract's ErrorReason; where the call did not reach Finlink, gRPC's status
// in the same form.
type Code string

// CodeCancelled is gRPC's for a call that was given up; the contract's own codes are in services.go.
const CodeCancelled Code = "CANCELLED"

// FieldError is what is wrong with one field; Field is its JSON path, as in "preferences.currency".
type FieldError struct {
	Field, Message string
}

// Error says why a call failed. No way of printing it shows the request, or the metadata, which can hold a login address.
type Error struct {
	Code Code
	// Message is for people.
	Message string
	// Fields are those that something is wrong with.
	Fields []FieldError
	// RetryAfter is how long to wait before trying again; 0 where that is not known.
	RetryAfter time.Duration
	// RequestID finds the call in Finlink's log.
	RequestID string

	metadata map[string]string
	status   *status.Status
}

// CodeOf gives the code of what a call failed with, and "" where it is no [*Error].
func CodeOf(err error) Code {
	var failure *Error
	if errors.As(err, &failure) {
		return failure.Code
	}
	return ""
}

// Metadata has more facts, by name.
func (e *Error) Metadata() map[string]string { return e.metadata }

// LoginURL is, of [CodeReauthRequired], where the user must log in; "" where there is no page.
func (e *Error) LoginURL() string { return e.metadata["loginUrl"] }

// GRPCStatus is gRPC's status, which [status.FromError] and [status.Code] find.
func (e *Error) GRPCStatus() *status.Status { return e.status }

// Is holds for the context's errors, where the call ran out of time or was given up.
func (e *Error) Is(target error) bool {
	return target == context.DeadlineExceeded && e.Code == CodeDeadlineExceeded ||
		target == context.Canceled && e.Code == CodeCancelled
}

// Error shows the code, the message and the fields.
func (e *Error) Error() string {
	fields := make([]string, len(e.Fields))
	for i, each := range e.Fields {
		fields[i] = each.Field + ": " + each.Message
	}
	text := string(e.Code) + ": " + e.Message
	if len(fields) > 0 {
		text += " (" + strings.Join(fields, "; ") + ")"
	}
	return text
}

// Format shows the same for every verb.
func (e *Error) Format(state fmt.State, _ rune) { fmt.Fprint(state, e.Error()) }

// fromStatus gives gRPC's error as an [*Error], and nil for nil.
func fromStatus(err error, trailer metadata.MD) error {
	if err == nil {
		return nil
	}
	reported := status.Convert(err)
	failure := &Error{Code: word(reported.Code()), Message: reported.Message(), status: reported}
	if ids := trailer.Get(requestIDHeader); len(ids) > 0 {
		failure.RequestID = ids[0]
	}
	for _, detail := range reported.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.GetDomain() == domain {
				failure.Code, failure.metadata = Code(detail.GetReason()), detail.GetMetadata()
			}
		case *errdetails.BadRequest:
			for _, each := range detail.GetFieldViolations() {
				failure.Fields = append(failure.Fields, FieldError{each.GetField(), each.GetDescription()})
			}
		case *errdetails.RetryInfo:
			failure.RetryAfter = detail.GetRetryDelay().AsDuration()
		}
	}
	return failure
}

// fromContext gives the error of a context that has ended as an [*Error].
func fromContext(err error) error {
	return fromStatus(status.FromContextError(err).Err(), nil)
}

// word is gRPC's own for a status: "NotFound" as "NOT_FOUND".
func word(code codes.Code) Code {
	if code == codes.Canceled {
		return CodeCancelled
	}
	var text strings.Builder
	for i, letter := range code.String() {
		if i > 0 && letter >= 'A' && letter <= 'Z' {
			text.WriteByte('_')
		}
		text.WriteRune(letter)
	}
	return Code(strings.ToUpper(text.String()))
}
