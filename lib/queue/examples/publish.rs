//! x
use queue::*;
use std::time::Instant;
#[tokio::main]
async fn main() {
    for url in std::env::args().skip(1) {
        let q = Queue::open(&url).await.unwrap();
        let m = |n: u128| {
            Message::Video(VideoMessage {
                conversion: Some(uuid::Uuid::from_u128(n).into()),
                video_fid: "x".into(),
                username: None,
            })
        };
        q.publish(&m(0)).await.unwrap();
        let mut t = vec![];
        for n in 0..500 {
            let b = Instant::now();
            q.publish(&m(n)).await.unwrap();
            t.push(b.elapsed());
        }
        t.sort();
        println!(
            "{} one by one: median {:?} p99 {:?}",
            url.split('/').last().unwrap(),
            t[250],
            t[495]
        );
        let b = Instant::now();
        let js: Vec<_> = (0..16)
            .map(|_| {
                let q = q.clone();
                tokio::spawn(async move {
                    for n in 0..100 {
                        q.publish(&Message::Control(ControlMessage {
                            conversion: uuid::Uuid::from_u128(n).into(),
                        }))
                        .await
                        .unwrap();
                    }
                })
            })
            .collect();
        for j in js {
            j.await.unwrap();
        }
        println!(
            "  16 publishers: {:.0}/s",
            1600.0 / b.elapsed().as_secs_f64()
        );
        let mut c = q.consume(Topic::Video).await.unwrap();
        let b = Instant::now();
        let mut n = 0;
        while n < 501 {
            if let Item::Delivery(d) = c.next().await {
                d.ack().await.unwrap();
                n += 1;
            }
        }
        println!("  drained {:.0}/s", 501.0 / b.elapsed().as_secs_f64());
        let mut t = vec![];
        for n in 0..200 {
            let b = Instant::now();
            q.publish(&m(n)).await.unwrap();
            loop {
                if let Item::Delivery(d) = c.next().await {
                    t.push(b.elapsed());
                    d.ack().await.unwrap();
                    break;
                }
            }
        }
        t.sort();
        println!("  publish to next: median {:?} p99 {:?}", t[100], t[198]);
    }
}
