//! The tables, as the migrations make them.

diesel::table! {
    videos (id) {
        id -> Text,
        owner -> Text,
        length -> BigInt,
        expires_at -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    conversions (id) {
        id -> Text,
        version -> BigInt,
        owner -> Text,
        key -> Nullable<Text>,
        video -> Text,
        mp3 -> Nullable<Text>,
        state -> Text,
        not_before -> BigInt,
        created_at -> BigInt,
        lane -> Integer,
        batch -> Nullable<Text>,
        announced -> Bool,
        published -> Bool,
        bytes -> BigInt,
        expires_at -> Nullable<BigInt>,
        body -> Text,
    }
}

diesel::table! {
    control (id) {
        id -> Text,
        version -> BigInt,
        open -> Bool,
        body -> Text,
    }
}

diesel::table! {
    pending (file) {
        file -> Text,
        touched_at -> BigInt,
        body -> Text,
    }
}
