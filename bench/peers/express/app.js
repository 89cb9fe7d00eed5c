// The users and connectors API as one would write it with Express and Mongoose.
import express from "express";

import { reply, toConnector, toProfile, toUser } from "./replies.js";
import { Connector, User, listQuery, profileBody, userBody, userId } from "./schemas.js";

class ApiError extends Error {
  constructor(status, code, message, details = []) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

const parsed = (schema, value) => {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const details = result.error.issues.map((issue) => ({
    field: issue.path.join("."),
    message: issue.message,
  }));
  throw new ApiError(400, "VALIDATION_ERROR", "Validation failed", details);
};

const notFound = () => new ApiError(404, "USER_NOT_FOUND", "User not found");

const users = express.Router();

users.post("/", async (request, response) => {
  const { userId: id, email, dateOfBirth, ...profile } = parsed(userBody, request.body);
  if (dateOfBirth) profile.dateOfBirth = new Date(dateOfBirth);
  try {
    const user = await User.create({ userId: id, email, profile });
    response.status(201).json(reply({ message: "User created successfully", data: toUser(user.toObject()) }));
  } catch (error) {
    if (error.code !== 11000) throw error;
    const field = Object.keys(error.keyPattern)[0];
    throw new ApiError(409, "USER_EXISTS", `${field} already exists`, [{ field, message: "already exists" }]);
  }
});

users.get("/", async (request, response) => {
  const { page, limit, status } = parsed(listQuery, request.query);
  const where = status ? { status } : {};
  const [total, found] = await Promise.all([
    User.countDocuments(where),
    User.find(where).sort({ createdAt: -1, _id: -1 }).skip((page - 1) * limit).limit(limit).lean(),
  ]);
  const pages = Math.ceil(total / limit);
  response.json(reply({
    data: {
      users: found.map(toUser),
      pagination: {
        currentPage: page, totalPages: pages, totalUsers: total, hasNext: page < pages, hasPrev: page > 1,
      },
    },
  }));
});

users.get("/:userId", async (request, response) => {
  const user = await User.findOne({ userId: parsed(userId, request.params.userId) }).lean();
  if (!user) throw notFound();
  response.json(reply({ data: toUser(user) }));
});

users.put("/:userId/profile", async (request, response) => {
  const { dateOfBirth, ...profile } = parsed(profileBody, request.body);
  if (dateOfBirth) profile.dateOfBirth = new Date(dateOfBirth);
  const changes = Object.fromEntries(Object.entries(profile).map(([name, value]) => [`profile.${name}`, value]));
  const user = await User.findOneAndUpdate(
    { userId: parsed(userId, request.params.userId) },
    { $set: changes },
    { returnDocument: "after", runValidators: true },
  ).lean();
  if (!user) throw notFound();
  response.json(reply({
    message: "Profile updated successfully",
    data: { userId: user.userId, profile: toProfile(user.profile), updatedAt: user.updatedAt },
  }));
});

const connectors = express.Router();

connectors.get("/status", async (_request, response) => {
  const rows = await Connector.aggregate([
    { $group: { _id: { platform: "$platform", status: "$connectionStatus", failing: "$failing" }, count: { $sum: 1 } } },
  ]);
  const summary = { totalConnections: 0, activeConnections: 0, disconnectedConnections: 0, errorConnections: 0, expiredConnections: 0, failingConnections: 0 };
  const byPlatform = {};
  for (const { _id: { platform, status, failing }, count } of rows) {
    const word = status === "connected" ? "active" : status;
    const part = (byPlatform[platform] ??= { total: 0, active: 0, disconnected: 0, error: 0, expired: 0, failing: 0 });
    summary.totalConnections += count;
    summary[`${word}Connections`] += count;
    part.total += count;
    part[word] += count;
    if (failing) {
      summary.failingConnections += count;
      part.failing += count;
    }
  }
  response.json(reply({ data: { summary, byPlatform } }));
});

connectors.get("/user/:userId", async (request, response) => {
  const id = parsed(userId, request.params.userId);
  const [user, found] = await Promise.all([
    User.exists({ userId: id }),
    Connector.find({ userId: id }).sort({ _id: 1 }).lean(),
  ]);
  if (!user) throw notFound();
  const now = Date.now();
  response.json(reply({
    data: {
      connectors: found.map((connector) => toConnector(connector, now)),
      totalConnectors: found.length,
      activeConnections: found.filter((connector) => connector.connectionStatus === "connected").length,
    },
  }));
});

export const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "64kb" }));
app.use("/api/v1/users", users);
app.use("/api/v1/connectors", connectors);
app.use((_request, _response, next) => next(new ApiError(404, "ROUTE_NOT_FOUND", "No such path")));
app.use((error, request, response, _next) => {
  const known = error instanceof ApiError;
  const status = known ? error.status : (error.status ?? 500);
  const code = known ? error.code : status < 500 ? "VALIDATION_ERROR" : "INTERNAL";
  const message = known || status < 500 ? error.message : "Internal server error";
  const timestamp = new Date().toISOString();
  response.status(status).json({
    success: false,
    error: { code, message, details: error.details ?? [], timestamp, path: request.path },
    timestamp,
  });
});
