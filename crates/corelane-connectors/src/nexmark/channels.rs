//! Where bids come from: four hot channels and ten thousand others, each with its own address.
//!
//! A bid's channel and url depend on nothing but the channel's number, so they are made once and
//! then only pointed to.

use arrow::array::StringViewArray;

use crate::random::{FieldRandom, Random};

const HOT: [&str; 4] = ["Google", "Facebook", "Baidu", "Apple"];

/// All but one of this many bids come through a hot channel.
const HOT_RATIO: u64 = 2;

const OTHERS: u64 = 10_000;

/// One of this many other channels does not tell its id.
const WITHOUT_ID_RATIO: u64 = 10;

/// A letter of a directory is an underscore once in this many.
const UNDERSCORE_RATIO: u64 = 13;

/// The names and addresses of all channels, the hot ones first.
#[derive(Clone, Debug)]
pub(super) struct Channels {
    pub(super) names: StringViewArray,
    pub(super) urls: StringViewArray,
}

impl Channels {
    pub(super) fn new(seed: u64) -> Self {
        let random = FieldRandom::new(seed, "bid.url");
        let others = (0..OTHERS).map(|number| format!("channel-{number}"));
        let names = HOT.iter().map(|name| (*name).to_owned()).chain(others);
        let urls = (0..HOT.len() as u64 + OTHERS).map(|channel| url(channel, random.at(channel)));
        Channels { names: StringViewArray::from_iter_values(names), urls: StringViewArray::from_iter_values(urls) }
    }
}

/// The position of a bid's channel.
#[inline]
pub(super) fn pick(mut random: Random) -> u32 {
    let hot = HOT.len() as u64;
    let channel = if random.below(HOT_RATIO) > 0 { random.below(hot) } else { hot + random.below(OTHERS) };
    channel as u32
}

fn url(channel: u64, mut random: Random) -> String {
    let mut url = String::from("https://www.nexmark.com/");
    for _ in 0..3 {
        for _ in 0..3 + random.below(2) {
            let letter = b'a' + random.below(26) as u8;
            url.push(if random.below(UNDERSCORE_RATIO) == 0 { '_' } else { char::from(letter) });
        }
        url.push('/');
    }
    url.push_str("item.htm?query=1");
    if let Some(other) = channel.checked_sub(HOT.len() as u64)
        && random.below(WITHOUT_ID_RATIO) > 0
    {
        let id = (other as i32).reverse_bits().unsigned_abs();
        url.push_str(&format!("&channel_id={id}"));
    }
    url
}
