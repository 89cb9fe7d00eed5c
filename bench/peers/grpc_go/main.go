// GetUser as one would write it with grpc-go and the official MongoDB driver.
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"regexp"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"finlink/bench/usersv1"
)

type notifications struct {
	Email *bool `bson:"email"`
	SMS   *bool `bson:"sms"`
	Push  *bool `bson:"push"`
}

type user struct {
	ID      bson.ObjectID `bson:"_id"`
	UserID  string        `bson:"userId"`
	Email   string        `bson:"email"`
	Profile struct {
		FirstName     *string    `bson:"firstName"`
		LastName      *string    `bson:"lastName"`
		DateOfBirth   *time.Time `bson:"dateOfBirth"`
		PhoneNumber   *string    `bson:"phoneNumber"`
		City          *string    `bson:"city"`
		Country       *string    `bson:"country"`
		Income        *float64   `bson:"income"`
		RiskTolerance *string    `bson:"riskTolerance"`
	} `bson:"profile"`
	Preferences struct {
		Currency      *string       `bson:"currency"`
		Language      *string       `bson:"language"`
		Notifications notifications `bson:"notifications"`
	} `bson:"preferences"`
	Status        string `bson:"status"`
	EmailVerified bool   `bson:"emailVerified"`
	Metadata      struct {
		Source       *string  `bson:"source"`
		ReferralCode *string  `bson:"referralCode"`
		Tags         []string `bson:"tags"`
	} `bson:"metadata"`
	CreatedAt time.Time `bson:"createdAt"`
	UpdatedAt time.Time `bson:"updatedAt"`
}

func (u *user) message() *usersv1.User {
	profile := &usersv1.Profile{
		FirstName: u.Profile.FirstName, LastName: u.Profile.LastName, PhoneNumber: u.Profile.PhoneNumber,
		City: u.Profile.City, Country: u.Profile.Country, Income: u.Profile.Income,
		RiskTolerance: u.Profile.RiskTolerance,
	}
	if born := u.Profile.DateOfBirth; born != nil {
		day := born.UTC().Format(time.DateOnly)
		profile.DateOfBirth = &day
	}
	wanted := u.Preferences.Notifications
	return &usersv1.User{
		Id: u.ID.Hex(), UserId: u.UserID, Email: u.Email, Profile: profile,
		Preferences: &usersv1.Preferences{
			Currency: u.Preferences.Currency, Language: u.Preferences.Language,
			Notifications: &usersv1.Notifications{Email: wanted.Email, Sms: wanted.SMS, Push: wanted.Push},
		},
		Status: u.Status, EmailVerified: u.EmailVerified,
		Metadata: &usersv1.UserMetadata{
			Source: u.Metadata.Source, ReferralCode: u.Metadata.ReferralCode, Tags: u.Metadata.Tags,
		},
		CreatedAt: timestamppb.New(u.CreatedAt), UpdatedAt: timestamppb.New(u.UpdatedAt),
	}
}

var userID = regexp.MustCompile(`^[A-Za-z0-9_]{1,64}$`)

type server struct {
	usersv1.UnimplementedUserServiceServer
	users *mongo.Collection
}

func (s *server) GetUser(ctx context.Context, request *usersv1.GetUserRequest) (*usersv1.GetUserResponse, error) {
	if !userID.MatchString(request.GetUserId()) {
		return nil, status.Error(codes.InvalidArgument, "userId: must be 1 to 64 letters, digits or underscores")
	}
	var found user
	err := s.users.FindOne(ctx, bson.D{{Key: "userId", Value: request.GetUserId()}}).Decode(&found)
	if errors.Is(err, mongo.ErrNoDocuments) {
		return nil, status.Error(codes.NotFound, "User not found")
	}
	if err != nil {
		return nil, status.Error(codes.Unavailable, "the database does not respond")
	}
	return &usersv1.GetUserResponse{Data: found.message()}, nil
}

func main() {
	settings := options.Client().ApplyURI(os.Getenv("MONGODB_URI")).SetMaxPoolSize(50).SetMinPoolSize(2)
	client, err := mongo.Connect(settings)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		log.Fatal(err)
	}
	service := grpc.NewServer()
	users := client.Database(os.Getenv("DB_NAME")).Collection("users")
	usersv1.RegisterUserServiceServer(service, &server{users: users})
	log.Fatal(service.Serve(listener))
}
