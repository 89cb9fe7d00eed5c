// What Mongoose stores and what zod lets in.
import mongoose from "mongoose";
import { z } from "zod";

const { Schema } = mongoose;

const userSchema = new Schema(
  {
    userId: { type: String, required: true, unique: true },
    email: { type: String, required: true, unique: true, lowercase: true },
    profile: {
      firstName: String,
      lastName: String,
      dateOfBirth: Date,
      phoneNumber: String,
      city: String,
      country: String,
      income: Number,
      riskTolerance: { type: String, enum: ["low", "medium", "high"] },
    },
    preferences: {
      currency: { type: String, default: "INR" },
      language: { type: String, default: "en" },
      notifications: {
        email: { type: Boolean, default: true },
        sms: { type: Boolean, default: false },
        push: { type: Boolean, default: true },
      },
    },
    status: { type: String, enum: ["active", "inactive", "suspended"], default: "active" },
    emailVerified: { type: Boolean, default: false },
    metadata: { source: String, referralCode: String, tags: [String] },
  },
  // The indexes are there already; looking for them at each start would only take time.
  { timestamps: true, versionKey: false, autoIndex: false, autoCreate: false, collection: "users" },
);

const connectorSchema = new Schema(
  {
    userId: { type: String, required: true },
    platform: { type: String, required: true },
    connectionStatus: { type: String, default: "disconnected" },
    connectionDetails: {
      connectedAt: Date,
      lastSyncAt: Date,
      syncInterval: { type: Number, default: 5 },
    },
  },
  { timestamps: true, versionKey: false, autoIndex: false, autoCreate: false, collection: "connectors" },
);

export const User = mongoose.model("User", userSchema);
export const Connector = mongoose.model("Connector", connectorSchema);

const text = z.string().max(100);

export const userId = z.string().regex(/^[A-Za-z0-9_]{1,64}$/);

const profile = {
  firstName: text.optional(),
  lastName: text.optional(),
  phoneNumber: z.string().regex(/^\+[0-9][0-9 -]{6,30}$/).optional(),
  city: text.optional(),
  country: text.optional(),
  dateOfBirth: z.iso.date().optional(),
  income: z.number().positive().optional(),
  riskTolerance: z.enum(["low", "medium", "high"]).optional(),
};

export const profileBody = z.strictObject(profile);

export const userBody = z.strictObject({ userId, email: z.email().max(254), ...profile });

export const listQuery = z.object({
  page: z.coerce.number().int().min(1).default(1),
  limit: z.coerce.number().int().min(1).max(100).default(20),
  status: z.enum(["active", "inactive", "suspended"]).optional(),
});
