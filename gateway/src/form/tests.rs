use super::*;
use futures::TryStreamExt;

const TYPE: &str = "multipart/form-data; boundary=b";

/// The name and the content of the file in a form that comes in pieces of `step` bytes.
async fn read(form: &[u8], step: usize) -> Result<(Option<String>, Vec<u8>), Error> {
    let chunks: Vec<_> = form.chunks(step).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
    let file = file(stream::iter(chunks).boxed(), TYPE).await?;
    let content: Vec<Bytes> = file.bytes.try_collect().await?;
    Ok((file.name, content.concat()))
}

fn part(head: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {head}\r\n\r\n{content}\r\n")
}

#[tokio::test]
async fn the_file_is_found_however_the_form_is_cut() {
    let tricky = "\r\n--\r\n--c\r\r\n-".repeat(9);
    let form = part("name=\"note\"", "hello")
        + &part("name=\"file\"; filename=\"a.mp4\"; filename*=UTF-8''%C3%A4.mp4", &tricky)
        + &part("name=\"after\"", "bye")
        + "--b--\r\n";
    for step in 1..form.len() {
        let (name, content) = read(form.as_bytes(), step).await.unwrap();
        assert_eq!(
            (name.as_deref(), content),
            (Some("ä.mp4"), tricky.clone().into_bytes()),
            "step {step}"
        );
    }
}

#[tokio::test]
async fn a_form_that_is_not_one_file_is_refused() {
    let file = part("name=\"file\"", "x");
    for form in [
        part("name=\"note\"", "x") + "--b--",
        file.clone() + &file + "--b--",
        file.clone() + &part("name=\"other\"; filename=\"b\"", "y") + "--b--",
        file.clone(),
        file.replace("\r\n\r\n", ""),
        part("name=\"n\"", "x").repeat(40) + "--b--",
        "--b--".to_owned(),
        String::new(),
    ] {
        assert!(matches!(read(form.as_bytes(), 7).await, Err(Error::BadRequest(_))), "{form}");
    }
    assert!(matches!(
        super::file(stream::empty().boxed(), "multipart/form-data").await,
        Err(Error::BadRequest(_))
    ));
}

#[tokio::test]
async fn nothing_is_gathered_while_no_end_of_a_head_comes() {
    for start in ["", "--b\r\nContent-Disposition: form-data; x="] {
        let fed = Arc::<AtomicUsize>::default();
        let seen = fed.clone();
        let endless = stream::repeat_with(move || {
            seen.fetch_add(1024, Ordering::Relaxed);
            Ok(Bytes::from_static(&[b'x'; 1024]))
        });
        let body = stream::iter([Ok(Bytes::from_static(start.as_bytes()))]).chain(endless);
        assert!(matches!(file(body.boxed(), TYPE).await, Err(Error::BadRequest(_))));
        assert!(fed.load(Ordering::Relaxed) < 2 * LONGEST_HEAD);
    }
}

#[tokio::test]
async fn the_parser_never_reads_ahead_of_its_reader() {
    let pulled = Arc::<AtomicUsize>::default();
    let seen = pulled.clone();
    let head = part("name=\"file\"", "").into_bytes();
    let endless = stream::repeat_with(move || {
        seen.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from_static(&[b'x'; 4096]))
    });
    let body = stream::iter([Ok(Bytes::from(head[..head.len() - 2].to_vec()))]).chain(endless);
    let mut file = file(body.boxed(), TYPE).await.unwrap();
    for _ in 0..100 {
        file.bytes.try_next().await.unwrap();
    }
    assert!(pulled.load(Ordering::Relaxed) <= 102);
}
